#include "ends.h"
TestSuite(tls_sessions, .init = ends_begin, .fini = ends_end);
