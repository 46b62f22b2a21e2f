/*
 * The client of a request on pod 0 loses its connection and resumes the stream on pod 1, while the request sends a
 * notification and its answer, and pod 0 may be killed at any moment.
 *
 * In the end: the client has one answer, or one error instead, and all that was logged before.
 *
 * DEATH=0: pod 0 is not killed. SLOW=1: pod 0 may be so slow that its lease ends while it lives.
 * WATCH=0: pod 1 does not ask again after the owner was found alive.
 * SECOND_READ=0: pod 1 does not read the log again after the owner's answer. Nothing is lost then: it only comes later.
 * FIRST_ANSWER=0: a second answer in the log is delivered, too.
 */
#ifndef DEATH
#define DEATH 1
#endif
#ifndef SLOW
#define SLOW 0
#endif
#ifndef WATCH
#define WATCH 1
#endif
#ifndef SECOND_READ
#define SECOND_READ 1
#endif
#ifndef FIRST_ANSWER
#define FIRST_ANSWER 1
#endif

mtype = { progress, answer, error, event, close, open, finished, gone };

/* The event log of the stream, and how many of its events the client has received. */
mtype log[4];
byte logged;
byte cursor;
byte answers;

/* Pod 0: whether it lives, whether the request is open, whether a connection is attached, and whether the client has moved. */
bool alive = true;
bool isOpen = true;
bool attached = true;
bool moved;
/* Whether the client is still behind that connection. */
bool isHere = true;

chan toOwner = [6] of { bit };
chan toResumer = [12] of { mtype };

/* engine/streams/eventLog.ts#append */
inline append(kind) {
  log[logged] = kind;
  logged++
}

/* engine/streams/logDelivery.ts#read, engine/streams/logDelivery.ts#deliverLogged: the events after the cursor, in order */
inline read() {
  d_step {
    do
    :: cursor < logged ->
      if
      :: log[cursor] == progress
#if FIRST_ANSWER
      :: log[cursor] != progress && answers > 0
      :: log[cursor] != progress && answers == 0 -> answers++
#else
      :: log[cursor] != progress -> answers++
#endif
      fi;
      cursor++
    :: else -> break
    od
  }
}

/* engine/streams/outbound.ts#deliver, engine/streams/outbound.ts#respond */
proctype Request() {
  mtype kind = progress;
  do
  :: atomic { alive -> append(kind) };
    atomic {
      if
      :: !alive
      :: alive && attached && isHere -> read()
      :: alive && attached && !isHere
      /* engine/pods/routing.ts#toStream */
      :: alive && !attached && moved -> toResumer!event
      :: alive && !attached && !moved
      fi;
      if
      :: alive && kind == answer ->
        isOpen = false;
        attached = false;
        /* engine/pods/routing.ts#streamEnded */
        if
        :: moved -> toResumer!close
        :: else
        fi
      :: else
      fi
    }
    if
    :: kind == answer -> break
    :: else -> kind = answer
    fi
  :: atomic { !alive -> break }
  od
}

/* engine/pods/routing.ts#follow */
proctype Owner() {
end:
  do
  :: atomic {
    alive && nempty(toOwner) ->
    toOwner?_;
    attached = false;
    if
    :: isOpen -> moved = true; toResumer!open
    :: else -> toResumer!finished
    fi
  }
  od
}

proctype Kill() {
end:
  atomic { alive -> alive = false; isOpen = false; attached = false }
}

/* engine/streams/resumption.ts#answerForLostPod */
inline answerForTheDead() {
  if
  :: answers == 0 -> append(error); read()
  :: else
  fi
}

/* engine/pods/streamOwnership.ts#ask: other messages are handled meanwhile */
inline ask() {
  toOwner!1;
  do
  :: atomic { toResumer?state ->
      if
      :: state == event -> read()
      :: state == close
      :: else -> break
      fi
    }
  :: atomic { !alive && empty(toResumer) -> state = gone; break }
#if SLOW
  :: state = gone; break
#endif
  od
}

/* engine/streams/resumption.ts#resume, engine/streams/resumption.ts#followOwner */
proctype Resume() {
  mtype state;
  /* The connection breaks, at any moment before the answer has arrived. Pod 0 learns of it later. */
  atomic {
    if
    :: answers > 0 -> goto over
    :: answers == 0 -> isHere = false
    fi
  }
again:
  /* engine/pods/streamOwnership.ts#announce */
  toOwner!0;
  read();
  if
  :: answers > 0 -> goto over
  :: else
  fi;
  ask();
#if SECOND_READ
  read();
#endif
  if
  :: answers > 0 -> goto over
  :: answers == 0 && state == gone -> atomic { answerForTheDead() }; goto over
  :: answers == 0 && state == finished -> goto again
  :: answers == 0 && state == open
  fi;
  /* The stream goes on live. */
  do
  :: answers > 0 -> break
  /* engine/pods/routing.ts#handle: an event, or the end of the stream */
  :: atomic { toResumer?state -> read();
      if
      :: state == close && answers == 0 -> goto again
      :: else
      fi
    }
#if WATCH
  /* engine/streams/resumption.ts#watch */
  :: atomic { !alive && empty(toResumer) -> read(); answerForTheDead() }
#endif
  od;
over:
  skip
}

init {
  atomic {
    run Request();
    run Owner();
#if DEATH
    run Kill();
#endif
    run Resume()
  }
  /* Everything is over: the request, and the client's waiting. */
  atomic {
    _nr_pr <= 3 && (logged > 0 || !alive) && answers > 0;
    assert(answers == 1)
  }
}
