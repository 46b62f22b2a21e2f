/**
 * Opens the backend that an environment asks for, through the ESM and the CommonJS build, and prints as JSON the errors
 * that come of it: `node services.mjs <name> <environment as JSON>`.
 */
import { createRequire } from 'node:module';

const [name, env] = process.argv.slice(2);
for (const key of ['REDIS_URL', 'DATABASE_URL', 'MCP_TS_STORAGE_TYPE']) delete process.env[key];
Object.assign(process.env, JSON.parse(env));

const require = createRequire(import.meta.url);
const found = [];
for (const { createSessionServices } of [await import(`${name}/server`), require(`${name}/server`)]) {
  try {
    await (await createSessionServices()).close();
  } catch ({ code, message }) {
    found.push({ code, message });
  }
}
console.log(JSON.stringify(found));
