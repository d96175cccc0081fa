#include "ends.h"
TestSuite(tls_transport, .init = ends_begin, .fini = ends_end);
