/*
 * Two GET streams of a session are opened at the same time on two pods, while the server on the first pod sends a message.
 *
 * In the end: exactly one pod holds the stream, and the message was written: on each stream once at most, and on one of them at least.
 * A client that has two GET streams for a moment may get it on both.
 *
 * Broken on purpose, each of these fails:
 * ORDER=0: the bus does not give the pods its messages in the same order.
 * ECHO=0: a pod does not wait for its own announcement before it heeds others.
 * HOLD=0: a message is not kept until a pod has written it.
 */
#ifndef ORDER
#define ORDER 1
#endif
#ifndef ECHO
#define ECHO 1
#endif
#ifndef HOLD
#define HOLD 1
#endif

#define NOBODY 2

mtype = { opened, standalone, acknowledged };

bool holds[2];
/* The announcements of this pod that the bus has not returned. */
byte unheard[2];
/* engine/pods/unacknowledgedMessages.ts#add: the message waits on pod 0. */
bool held;
/* engine/pods/streamOwnership.ts#isNew */
bool written[2];
byte writes[2];
byte done;

/* What pods publish: kind, sender, addressee. */
chan bus = [8] of { mtype, byte, byte };
chan inbox[2] = [8] of { mtype, byte, byte };

/* The bus gives each message to all pods; the publisher gets it, too. */
proctype Bus() {
  mtype kind;
  byte from, to;
end:
  do
#if ORDER
  :: atomic { bus?kind, from, to -> inbox[0]!kind, from, to; inbox[1]!kind, from, to }
#else
  :: atomic { bus?kind, from, to -> inbox[from]!kind, from, to }; inbox[1 - from]!kind, from, to
#endif
  od
}

/* engine/get.ts#answerGet */
proctype Open(byte p) {
  atomic {
    /* engine/streams/sessionStreams.ts#openStandaloneStream */
    holds[p] = true;
    /* engine/pods/streamOwnership.ts#standaloneOpened */
#if ECHO
    unheard[p]++;
#endif
    bus!opened, p, NOBODY;
    if
    :: p == 0 && held -> held = false; writes[0]++
    :: else
    fi
  }
  done++
}

/* engine/streams/outbound.ts#deliver, engine/pods/streamOwnership.ts#toStandalone */
proctype Send() {
  atomic {
    if
    :: holds[0] -> writes[0]++
    :: else ->
#if HOLD
      held = true;
#endif
      bus!standalone, 0, NOBODY
    fi
  }
  done++
}

proctype Pod(byte p) {
  mtype kind;
  byte from, to;
end:
  do
  :: atomic {
    inbox[p]?kind, from, to ->
    if
    /* engine/pods/streamOwnership.ts#onOwnAnnouncement */
    :: kind == opened && from == p ->
      if
      :: unheard[p] > 0 -> unheard[p]--
      :: else
      fi
    /* engine/pods/streamOwnership.ts#onStandaloneOpened */
    :: kind == opened && from != p && unheard[p] == 0 ->
      holds[p] = false;
      if
      :: p == 0 && held -> bus!standalone, 0, from
      :: else
      fi
    /* engine/pods/streamOwnership.ts#onStandalone */
    :: kind == standalone && from != p && (to == p || (to == NOBODY && unheard[p] == 0)) && holds[p] ->
      bus!acknowledged, p, from;
      if
      :: !written[p] -> written[p] = true; writes[p]++
      :: else
      fi
    /* engine/pods/streamOwnership.ts#onStandaloneHeld */
    :: kind == acknowledged && to == p -> held = false
    :: else
    fi;
    from = 0;
    to = 0
  }
  od
}

init {
  atomic {
    run Bus();
    run Pod(0);
    run Pod(1);
    run Open(0);
    run Open(1);
    run Send()
  }
  atomic {
    done == 3 && empty(bus) && empty(inbox[0]) && empty(inbox[1]);
    assert(holds[0] + holds[1] == 1);
    assert(writes[0] <= 1 && writes[1] <= 1);
    assert(writes[0] + writes[1] >= 1)
  }
}
