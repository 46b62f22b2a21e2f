import { SWEEP_BATCH } from './sweeper.js';
import type { Tables } from './tables.js';

/** The SQL of the bus. */
export function busSql({ channel, messages }: Tables) {
  return {
    /** For the listening connection. Running it again only proves that the connection is alive. */
    listen: `listen "${channel}"`,

    /**
     * Sends messages in order, and stores those that are too long for a NOTIFY. It sends all of them or none.
     * Parameters: payloads, ids of messages to keep, their bodies.
     */
    publish: `
      with kept as (
        insert into ${messages} (message_id, body, sent_at)
        select message_id, body, now() from unnest($2::text[], $3::text[]) as m(message_id, body)
      )
      select pg_notify('${channel}', p.payload)
      from (select payload from unnest($1::text[]) with ordinality as u(payload, place) order by place offset 0) as p`,

    /** Parameters: id of the message. */
    fetch: `select body from ${messages} where message_id = $1`,

    /** Removes messages after a minute: every bus that was listening has fetched them. Returns their number. */
    sweep: `
      with due as (
        select message_id from ${messages} where sent_at < now() - interval '1 minute'
        order by sent_at limit ${SWEEP_BATCH} for update skip locked
      ), gone as (
        delete from ${messages} as m using due where m.message_id = due.message_id returning 1
      )
      select count(*)::text as count from gone`
  };
}
