/* the inner, tighter deadline fires first; the outer one still holds afterwards */
#include "say.h"

static intptr_t main_task(void *arg)
{
        (void)arg;
        bool inner, outer;
        OURO_TIMEOUT(3 * TICK, &outer) {
                OURO_TIMEOUT(1 * TICK, &inner) {
                        ouro_sleep(9 * TICK);
                }
                if (inner)
                        say("inner");
                ouro_sleep(9 * TICK);
        }
        if (outer)
                say("outer");
        return 0;
}

int main(void)
{
        begin();
        return run(main_task) < 0;
}
