import type { Tables } from './tables.js';

/** Tables that change together. A pod with another version of them cannot use them. */
export interface Component {
  readonly name: string;
  /** For each version, the statements that upgrade from the version before. Only append; never change an entry. */
  readonly versions: readonly (readonly string[])[];
}

/*
 * What all tables have in common:
 * - Text is compared by bytes, so the order of a list does not depend on a locale.
 * - `expires_at` decides, and changes with every use. `sweep_at` is later and changes rarely; only it is indexed,
 *   so that a use need not change an index (a heap-only update).
 */

export function componentsOf(tables: Tables): Component[] {
  return [sessions(tables), events(tables), tasks(tables)];
}

function sessions(tables: Tables): Component {
  const index = (name: string) => `"${tables.table}_${name}"`;
  return {
    name: tables.table,
    versions: [
      [
        `create table ${tables.sessions} (
          session_id text collate "C" primary key,
          revision bigint not null,
          -- A tombstone: nothing else of the session is left.
          deleted boolean not null default false,
          expires_at timestamptz not null,
          sweep_at timestamptz not null,
          initialized boolean not null,
          created_at float8 not null,
          last_activity float8 not null,
          -- JSON as it was given. The three that follow are what has been patched since, and win.
          metadata text,
          protocol_version text,
          log_level text,
          subscriptions text[],
          principal_hash bytea,
          state text,
          state_version bigint not null default 0
        ) with (fillfactor = 70)`,
        `create index ${index('sweep')} on ${tables.sessions} (sweep_at)`,
        `create index ${index('principal')} on ${tables.sessions} (principal_hash, session_id)
          where principal_hash is not null`,
        `create table ${tables.subscriptions} (
          uri_hash bytea not null,
          session_id text collate "C" not null,
          primary key (uri_hash, session_id)
        )`,
        `create index ${index('subscription_session')} on ${tables.subscriptions} (session_id)`,
        `create table ${tables.locks} (
          session_id text collate "C" primary key,
          -- The holder of the lock, then those that wait, in order; and until when each holds or waits.
          tokens text[] not null,
          leases timestamptz[] not null,
          sweep_at timestamptz not null
        ) with (fillfactor = 70)`,
        `create index ${index('lock_sweep')} on ${tables.locks} (sweep_at)`,
        `create table ${tables.messages} (
          message_id text collate "C" primary key,
          body text not null,
          sent_at timestamptz not null
        )`,
        `create index ${index('message_sent')} on ${tables.messages} (sent_at)`
      ]
    ]
  };
}

function events(tables: Tables): Component {
  return {
    name: 'mcp_event',
    versions: [
      [
        `create table ${tables.streams} (
          stream_id text collate "C" primary key,
          -- Another one when a stream begins anew, so that an old cursor never means a new event.
          stream_key bigint generated always as identity,
          first_number bigint not null,
          last_number bigint not null,
          expires_at timestamptz not null,
          sweep_at timestamptz not null
        ) with (fillfactor = 70)`,
        `create index "mcp_event_stream_sweep" on ${tables.streams} (sweep_at)`,
        `create table ${tables.events} (
          stream_key bigint not null,
          number bigint not null,
          message text not null,
          primary key (stream_key, number)
        )`
      ]
    ]
  };
}

function tasks(tables: Tables): Component {
  return {
    name: 'mcp_task',
    versions: [
      [
        `create table ${tables.tasks} (
          session text collate "C" not null,
          task_id text collate "C" not null,
          place bigint generated always as identity,
          status text not null,
          status_message text,
          last_updated_at text not null,
          fixed text not null,
          lifetime_ms float8 not null,
          unlimited boolean not null,
          ended boolean not null default false,
          result text,
          expires_at timestamptz not null,
          primary key (session, task_id)
        )`,
        `create index "mcp_task_place" on ${tables.tasks} (session, place)`,
        `create index "mcp_task_expires" on ${tables.tasks} (expires_at)`,
        `create table ${tables.taskMessages} (
          session text collate "C" not null,
          task_id text collate "C" not null,
          place bigint generated always as identity,
          body text not null,
          expires_at timestamptz not null,
          primary key (session, task_id, place)
        )`,
        `create index "mcp_task_message_expires" on ${tables.taskMessages} (expires_at)`
      ]
    ]
  };
}
