import { parseArgs } from 'node:util';
import { AnypodError } from '../errors.js';
import { type Command, COMMON_OPTIONS, type Invocation } from './command.js';
import { harmless, paintFor, type Streams } from './terminal.js';
import { CommandError, EXIT, UsageError } from './usage.js';

/** Loaded when they run, so that `--help` answers at once. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  doctor: async () => (await import('./doctorCommand.js')).doctorCommand,
  sessions: async () => (await import('./sessionsCommand.js')).sessionsCommand,
  pods: async () => (await import('./podsCommand.js')).podsCommand,
  top: async () => (await import('./topCommand.js')).topCommand,
  demo: async () => (await import('./demoCommand.js')).demoCommand
};

const HELP = `mcp-sdk-anypod: look after a fleet of MCP servers that share their sessions.

Usage: npx mcp-sdk-anypod COMMAND [options]

Commands:
  doctor      can this machine use the backend, and can the backend serve sessions? Names each problem and its remedy
  sessions    list, show, end or watch sessions
  pods        the pods that serve now; drain one
  top         the pods, live, with rates
  demo        one session on three pods that are killed and replaced; --web draws it

Options of every command:
  --json      print JSON
  -h, --help  show the help of the command

Exit codes:
  0   done; doctor: nothing to improve
  1   what was asked for does not exist; doctor: warnings
  2   the backend cannot be used; doctor: it cannot serve sessions
  64  the command line is wrong; nothing was done

Examples:
  npx mcp-sdk-anypod doctor --url redis://redis:6379
  npx mcp-sdk-anypod sessions list --idle 10m
  npx mcp-sdk-anypod pods`;

/** Runs one command line. Every failure becomes one line on stderr. @returns the exit code */
export async function runCli(args: readonly string[], streams: Streams): Promise<number> {
  try {
    return await dispatch(args, streams);
  } catch (error) {
    const { message, code } = explained(error, args[0]);
    streams.stderr.write(`mcp-sdk-anypod: ${withoutPasswords(harmless(message), args, streams.env)}\n`);
    return code;
  }
}

async function dispatch([name, ...rest]: readonly string[], streams: Streams): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const load = name === 'help' && rest[0] !== undefined ? COMMANDS[rest[0]] : undefined;
    streams.stdout.write(`${load ? (await load()).help : HELP}\n`);
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!load) {
    const known = Object.keys(COMMANDS).join(', ');
    throw new UsageError(`there is no command '${name.slice(0, 40)}': use one of ${known}, or --help`);
  }
  const command = await load();
  const { values, positionals } = parsed(name, rest, command);
  if (values.help) {
    streams.stdout.write(`${command.help}\n`);
    return EXIT.ok;
  }
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    return await command.run({
      values,
      positionals,
      streams,
      paint: paintFor(streams),
      json: values.json === true,
      print: line => void streams.stdout.write(`${line}\n`),
      signal: interrupted.signal
    });
  } finally {
    process.removeListener('SIGINT', interrupt).removeListener('SIGTERM', interrupt);
  }
}

function parsed(name: string, args: string[], command: Command): Pick<Invocation, 'values' | 'positionals'> {
  try {
    return parseArgs({ args, options: { ...COMMON_OPTIONS, ...command.options }, allowPositionals: true });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!code?.startsWith('ERR_PARSE_ARGS')) throw error;
    // Node's text names the option in its first sentence.
    throw new UsageError(`${message.split('. ')[0]}: see npx mcp-sdk-anypod ${name} --help`);
  }
}

/** Commands that use a backend, and do not examine it themselves. */
const EXAMINABLE = ['sessions', 'pods', 'top'];

function explained(error: unknown, command = ''): { message: string; code: number } {
  if (error instanceof UsageError) return { message: error.message, code: EXIT.usage };
  if (error instanceof CommandError) return { message: error.message, code: error.exitCode };
  const { message, code } = error as Error & { code?: unknown };
  if (code === 'ANYPOD_INVALID_OPTION') return { message, code: EXIT.usage };
  if (error instanceof AnypodError) return { message, code: EXIT.unusable };
  const hint = EXAMINABLE.includes(command) ? ': npx mcp-sdk-anypod doctor says why' : '';
  return { message: `failed: ${message || String(error)}${hint}`, code: EXIT.unusable };
}

/** Drivers may repeat a part of the URL in their errors. */
function withoutPasswords(text: string, args: readonly string[], env: Streams['env']): string {
  let shown = text;
  for (const value of [...args, env.REDIS_URL, env.DATABASE_URL]) {
    const password = /:\/\/[^:@/]*:([^@]+)@/.exec(value ?? '')?.[1];
    if (password) shown = shown.replaceAll(password, '***');
  }
  return shown;
}
