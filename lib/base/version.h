/* version - the numbers that -V prints.  ROTA_PROTOCOL changes with the wire and with every shared layout. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define ROTA_VERSION "0.1.0"
#define ROTA_PROTOCOL 1

#endif
