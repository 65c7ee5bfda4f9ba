/* UPDATE streams, encoded before the clock starts. */
#ifndef STREAM_H
#define STREAM_H

#include "session.h"

/* Queues announcements of `count` prefixes from `first`, packed by attribute set as a full message allows; expects them unless `what.backup`. */
void stream_announce(struct session *session, u32 first, u32 count, struct announcement what);
void stream_withdraw(struct session *session, u32 first, u32 count);

#endif
