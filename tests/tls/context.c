#include "ends.h"
TestSuite(tls_context, .init = ends_begin, .fini = ends_end);
