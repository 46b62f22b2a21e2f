import { SWEEP_BATCH } from './sweeper.js';
import type { Tables } from './tables.js';

/*
 * The SQL of event logs. The row of a stream counts its events. It stays locked from the count to the commit, so events
 * of a stream are committed in the order of their numbers, whichever pod writes. An event never appears after a reader
 * has seen a later one.
 */

/** The events of a stream that count as kept, although older rows may still exist. Parameter: events at most. */
const kept = (max: string): string =>
  `e.number between greatest(s.first_number, s.last_number - ${max}::bigint + 1) and s.last_number`;

const LIVE = 's.expires_at > clock_timestamp()';

const after = (seconds: string): string => `now() + make_interval(secs => ${seconds}::float8)`;

/** All statements about events, each with its parameters. They stand in one place, so the function is long. */
export function eventSql({ streams, events }: Tables) {
  return {
    /**
     * Appends an event. If the stream has expired, it restarts after its last event.
     * Parameters: stream id, message, seconds to live, events at most, events that are removed in one go, whether it is
     * the last one, so that the stream may be removed earlier than planned.
     */
    append: `
      with stream as (
        insert into ${streams} as s (stream_id, first_number, last_number, expires_at, sweep_at)
        values ($1, 1, 1, ${after('$3')}, ${after('(1.25 * $3::float8)')})
        on conflict (stream_id) do update set
          first_number = case when ${LIVE} then s.first_number else s.last_number + 1 end,
          last_number = s.last_number + 1,
          expires_at = excluded.expires_at,
          sweep_at = case when $6 or s.sweep_at < excluded.expires_at then excluded.sweep_at else s.sweep_at end
        returning s.stream_key, s.last_number
      ), appended as (
        insert into ${events} (stream_key, number, message) select stream_key, last_number, $2 from stream
      ), trimmed as (
        delete from ${events} as e using stream
        where stream.last_number % $5::bigint = 0
          and e.stream_key = stream.stream_key and e.number <= stream.last_number - $4::bigint
      )
      select stream_key::text as key, last_number::text as number from stream`,

    /** The last event of a stream. Parameters: stream id. */
    latest: `
      select s.stream_key::text as key, s.last_number::text as number from ${streams} as s
      where s.stream_id = $1 and ${LIVE}`,

    /** Whether an event is kept. Parameters: stream id, stream key, number, events at most. */
    has: `
      select 1 as one from ${streams} as s join ${events} as e on e.stream_key = s.stream_key
      where s.stream_id = $1 and s.stream_key = $2::bigint and ${LIVE} and e.number = $3::bigint and ${kept('$4')}`,

    /**
     * An event, if it is kept, and the events after it.
     * Parameters: stream id, stream key, number, events at most, rows at most.
     */
    from: `
      select e.number::text as number, e.message
      from ${streams} as s join ${events} as e on e.stream_key = s.stream_key
      where s.stream_id = $1 and s.stream_key = $2::bigint and ${LIVE} and e.number >= $3::bigint and ${kept('$4')}
      order by e.number limit $5::int`,

    /** The number of the first event that is kept of a stream. Parameters: stream id, events at most. */
    first: `
      select s.stream_key::text as key, greatest(s.first_number, s.last_number - $2::bigint + 1)::text as number
      from ${streams} as s where s.stream_id = $1 and ${LIVE}`,

    /**
     * Removes the streams of a session, with their events. A session id may contain colons; a stream name may not.
     * Parameters: the session id and a colon, the first text that sorts after everything with that prefix.
     */
    deleteStreams: `
      with gone as (
        delete from ${streams} as s
        where s.stream_id >= $1 and s.stream_id < $2 and position(':' in substr(s.stream_id, length($1) + 1)) = 0
        returning s.stream_key
      )
      delete from ${events} as e using gone where e.stream_key = gone.stream_key`,

    /** Removes expired streams, with their events. Returns the number of streams. */
    sweep: `
      with due as (
        select stream_id from ${streams} where sweep_at < now() and expires_at < now()
        order by sweep_at limit ${SWEEP_BATCH} for update skip locked
      ), gone as (
        delete from ${streams} as s using due where s.stream_id = due.stream_id returning s.stream_key
      ), emptied as (
        delete from ${events} as e using gone where e.stream_key = gone.stream_key
      )
      select count(*)::text as count from gone`
  };
}
