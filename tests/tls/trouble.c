#include "ends.h"
TestSuite(tls_trouble, .init = ends_begin, .fini = ends_end);
