import { StoreSchemaError } from '../../errors.js';
import type { PostgresPool, PostgresRow } from './client.js';
import { Database } from './database.js';
import { type Component, componentsOf } from './schema.js';
import type { TableNames, Tables } from './tables.js';

/** The options of {@link migrate}. */
export interface MigrateOptions extends TableNames {
  /** A `Pool` of `pg` 8, with a user who may create tables. It is not closed. */
  pool: PostgresPool;
}

type Query = (text: string, values?: unknown[]) => Promise<PostgresRow[]>;

/** Two numbers that other applications are unlikely to lock. */
const LOCK = [0x616e79, 0x706f64];

/**
 * Creates the tables of all Postgres stores, or upgrades older ones to this version. Does nothing if they already have
 * this version, so a user with read and write access only can call it too. Any number of pods may call it at the same
 * time.
 *
 * @throws StoreSchemaError if the tables have a newer version, or cannot be created
 */
export async function migrate(options: MigrateOptions): Promise<void> {
  const database = new Database(options, StoreSchemaError);
  const { tables } = database;
  const components = componentsOf(tables);
  const [found] = await database.query(TABLE_EXISTS, [tables.migrations]);
  if (found?.exists === 'true') {
    const versions = await readVersions((text, values) => database.query(text, values), tables);
    if (components.every(component => versionOf(component, versions) === component.versions.length)) return;
  }
  await database.transaction(async query => {
    await query('select pg_advisory_xact_lock($1::int, $2::int)', LOCK);
    const [schema] = await query(SCHEMA_EXISTS, [tables.schema]);
    // Not `if not exists`: that needs the right to create schemas even if the schema exists.
    if (schema?.exists !== 'true') await query(`create schema "${tables.schema}"`);
    await query(
      `create table if not exists ${tables.migrations} (component text primary key, version integer not null)`
    );
    const versions = await readVersions(query, tables);
    for (const component of components) {
      const version = versionOf(component, versions);
      if (version === component.versions.length) continue;
      for (const statement of component.versions.slice(version).flat()) await query(statement);
      await query(setVersion(tables), [component.name, component.versions.length]);
    }
  });
}

/** Parameters: name of the table, quoted. */
const TABLE_EXISTS = 'select (to_regclass($1) is not null)::text as exists';

/** Parameters: name of the schema. */
const SCHEMA_EXISTS = 'select exists (select from pg_namespace where nspname = $1)::text as exists';

/** Parameters: component, version. */
const setVersion = (tables: Tables): string => `
  insert into ${tables.migrations} (component, version) values ($1, $2::int)
  on conflict (component) do update set version = excluded.version`;

async function readVersions(query: Query, tables: Tables): Promise<Map<string | null, number>> {
  const rows = await query(`select component, version::text as version from ${tables.migrations}`);
  return new Map(rows.map(({ component, version }) => [component ?? null, Number(version)]));
}

/** @throws StoreSchemaError if the version is newer than this code */
function versionOf({ name, versions }: Component, stored: Map<string | null, number>): number {
  const version = stored.get(name) ?? 0;
  if (version <= versions.length) return version;
  throw new StoreSchemaError(
    `The tables of ${name} are of version ${version}, and this release of mcp-sdk-anypod knows ${versions.length}: ` +
      'a newer release has migrated them. Update this one, or name another schema'
  );
}
