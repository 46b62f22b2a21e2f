/*
 * The end of a session against recoveries and changes of it, with two pods and two sessions. Pod 0 has opened both.
 *
 * In the end: after a DELETE was answered 200 no request finds the session, nothing brings it back, and no pod has it live.
 *
 * Broken on purpose, each of these fails:
 * SECOND_READ=0: a recovery does not read the record again after it has subscribed.
 * TOLD=0: the other pods are not told of the end.
 * PATCH=0: a change is written back, although the session was deleted meanwhile, as by a store of five methods.
 */
#ifndef SECOND_READ
#define SECOND_READ 1
#endif
#ifndef TOLD
#define TOLD 1
#endif
#ifndef PATCH
#define PATCH 1
#endif

#define PODS 2
#define SESSIONS 2
#define AT(p, s) ((p) * SESSIONS + (s))
#define WORKERS 6

bool stored[SESSIONS] = true;
bool confirmed[SESSIONS];
bool live[4];
bool subscribed[4];
/* A recovery is under way: concurrent requests of the session wait for it. */
bool recovering[4];
/* The messages of ended sessions that are under way to each pod. */
chan bus[PODS] = [4] of { byte };
byte done;

/* engine/engine.ts#onEnded */
inline forget(p, s) {
  live[AT(p, s)] = false;
  subscribed[AT(p, s)] = false
}

/* handler/sessionHost.ts#rebuild, engine/session/storedSession.ts#recover */
inline recover(p, s) {
  atomic {
    recovering[AT(p, s)] = true;
    live[AT(p, s)] = true
  }
  /* engine/pods/peers.ts#join */
  subscribed[AT(p, s)] = true;
#if SECOND_READ
  /* engine/session/storedSession.ts#readAgain */
  atomic {
    if
    :: !stored[s] -> forget(p, s)
    :: else
    fi
  }
#endif
  recovering[AT(p, s)] = false
}

/* A request of the client, which changes the session or not. */
proctype Request(byte p; byte s; bool changes) {
  bool found;
  /* engine/session/lookup.ts#lookUp */
  atomic {
    found = stored[s];
    assert(!(found && confirmed[s]));
    if
    :: !found -> forget(p, s)
    :: else
    fi
  }
  if
  :: found ->
    if
    :: atomic { recovering[AT(p, s)] -> skip }; !recovering[AT(p, s)]
    :: atomic { !recovering[AT(p, s)] && live[AT(p, s)] -> skip }
    :: atomic { !recovering[AT(p, s)] && !live[AT(p, s)] -> recovering[AT(p, s)] = true }; recover(p, s)
    fi;
    if
    :: changes ->
#if PATCH
      /* engine/session/storeAccess.ts#patch: only what is there is changed */
      skip
#else
      /* engine/session/storeAccess.ts#readAndReplace */
      found = stored[s];
      if
      :: found -> stored[s] = true
      :: else
      fi
#endif
    :: else
    fi
  :: else
  fi;
  done++
}

/* engine/session/termination.ts#terminate */
proctype Delete(byte p; byte s) {
  bool removed;
  atomic {
    removed = stored[s];
    stored[s] = false
  }
  if
  :: removed ->
#if TOLD
    /* engine/pods/routing.ts#ended */
    atomic {
      if
      :: subscribed[AT(1 - p, s)] -> bus[1 - p]!s
      :: else
      fi
    }
#endif
    atomic {
      forget(p, s);
      confirmed[s] = true
    }
  :: else -> forget(p, s)
  fi;
  done++
}

/* engine/pods/routing.ts#onMessage */
proctype Listener(byte p) {
  byte s;
end:
  do
  :: atomic { bus[p]?s -> forget(p, s) }
  od
}

init {
  atomic {
    live[AT(0, 0)] = true;
    subscribed[AT(0, 0)] = true;
    live[AT(0, 1)] = true;
    subscribed[AT(0, 1)] = true;
    run Listener(0);
    run Listener(1);
    run Request(1, 0, true);
    run Request(0, 0, true);
    run Delete(0, 0);
    run Delete(1, 0);
    run Request(1, 1, true);
    run Delete(0, 1)
  }
  /* Everything is over, and every message has arrived. */
  atomic {
    done == WORKERS && empty(bus[0]) && empty(bus[1]);
    byte s;
    for (s : 0 .. SESSIONS - 1) {
      assert(confirmed[s]);
      assert(!stored[s]);
      assert(!live[AT(0, s)] && !live[AT(1, s)]);
      assert(!subscribed[AT(0, s)] && !subscribed[AT(1, s)])
    }
  }
}
