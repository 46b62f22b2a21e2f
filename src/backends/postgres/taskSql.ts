import { SWEEP_BATCH } from './sweeper.js';
import type { Tables } from './tables.js';
import { toText } from './text.js';

/*
 * The SQL of tasks and of their messages. Times are those of Postgres. `session` identifies the session of a task, or
 * says that it has none.
 */

const after = (milliseconds: string): string => `now() + make_interval(secs => ${milliseconds}::float8 / 1000)`;

const LIVE = 't.expires_at > clock_timestamp()';

const FIELDS = 't.task_id, t.status, t.status_message, t.last_updated_at, t.fixed';

/** A lock that is held until the statement, or the transaction, is committed. The number names its purpose. */
const alone = (what: number, name: string): string => `pg_advisory_xact_lock(${what}, hashtext(${name}))`;

const sweep = (table: string): string => `
  with due as (
    select ctid from ${table} where expires_at < now() limit ${SWEEP_BATCH} for update skip locked
  ), gone as (
    delete from ${table} as t using due where t.ctid = due.ctid returning 1
  )
  select count(*)::text as count from gone`;

/** All statements about tasks, each with its parameters. They stand in one place, so the function is long. */
export function taskSql({ tasks, taskMessages }: Tables) {
  const placeOf = (table: string) => `nextval(pg_get_serial_sequence('${table}', 'place'))`;
  return {
    /**
     * Creates a task, last in the list of its session. Places are committed in order, so a reader of the list never
     * skips a task that is committed later.
     * Parameters: session, task id, last updated at, fixed fields, milliseconds to live, whether without limit.
     */
    create: `
      insert into ${tasks} (session, task_id, place, status, last_updated_at, fixed, lifetime_ms, unlimited, expires_at)
      overriding system value
      select $1, $2, ${placeOf(tasks)}, 'working', $3, $4, $5::float8, $6::boolean, ${after('$5')}
      from (select ${alone(1, '$1')} offset 0) as alone`,

    /** Parameters: session, task id. */
    get: `select ${FIELDS} from ${tasks} as t where t.session = $1 and t.task_id = $2 and ${LIVE}`,

    /** Parameters: session, task id. */
    result: `select t.result from ${tasks} as t where t.session = $1 and t.task_id = $2 and ${LIVE}`,

    /**
     * Changes a task that exists and has not ended. The time to live restarts if this ends the task, and with every
     * change of a task without limit. Returns a row if the task exists: whether it had ended, and how.
     * Parameters: session, task id, status, message or null, last updated at, whether it ends, result or null.
     */
    update: `
      with held as (
        select t.session, t.task_id, t.status, t.ended from ${tasks} as t
        where t.session = $1 and t.task_id = $2 and ${LIVE} for update
      ), changed as (
        update ${tasks} as t set
          status = $3, status_message = coalesce($4::text, t.status_message), last_updated_at = $5,
          ended = $6::boolean, result = coalesce($7::text, t.result),
          expires_at = case when t.unlimited or $6::boolean then ${after('t.lifetime_ms')} else t.expires_at end
        from held where t.session = held.session and t.task_id = held.task_id and not held.ended
      )
      select held.status, held.ended::text as ended from held`,

    /**
     * Tasks of a session in the order of creation; one row without a task if there are none.
     * Parameters: session, task id to start after or '', number of tasks at most.
     * The column `found` is null if the task to start after is missing.
     */
    list: `
      select after.place::text as found, ${FIELDS}
      from (
        select case when $2 = '' then 0 else (
          select t.place from ${tasks} as t where t.session = $1 and t.task_id = $2 and ${LIVE}
        ) end as place
      ) as after
      left join ${tasks} as t on t.session = $1 and t.place > after.place and ${LIVE}
      order by t.place limit $3::int`,

    /** Parameters: session, task id, message, milliseconds to live. */
    enqueue: `
      insert into ${taskMessages} (session, task_id, body, expires_at) values ($1, $2, $3, ${after('$4')})`,

    /** Locks the count of the queue until the transaction ends. Parameters: session, task id. */
    lockQueue: `select ${alone(2, "$1 || ' ' || $2")}`,

    /** Parameters: session, task id. */
    count: `
      select count(*)::text as count from ${taskMessages} as t
      where t.session = $1 and t.task_id = $2 and ${LIVE}`,

    /** Takes the first message that no other statement is taking. Parameters: session, task id. */
    dequeue: `
      delete from ${taskMessages} as m using (
        select t.session, t.task_id, t.place from ${taskMessages} as t
        where t.session = $1 and t.task_id = $2 and ${LIVE}
        order by t.place limit 1 for update skip locked
      ) as head
      where m.session = head.session and m.task_id = head.task_id and m.place = head.place
      returning m.body`,

    /** Takes all messages, in order. Parameters: session, task id. */
    dequeueAll: `
      with taken as (
        delete from ${taskMessages} as t where t.session = $1 and t.task_id = $2
        returning t.place, t.body, ${LIVE} as live
      )
      select body from taken where live order by place`,

    sweepTasks: sweep(tasks),
    sweepMessages: sweep(taskMessages)
  };
}

/** The value of the column `session`. */
export function sessionColumn(sessionId: string | undefined): string {
  return sessionId === undefined ? '' : `:${toText(sessionId)}`;
}
