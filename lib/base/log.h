/* log.h - the only way by which the library says anything. */
#ifndef OURO_BASE_LOG_H
#define OURO_BASE_LOG_H

#include "ouro.h"

void log_line(enum ouro_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
