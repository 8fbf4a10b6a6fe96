import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from "pino";

/** Structured log of a daemon. Give a part its own with `log.child({ part: "uplink" })`. */
export type Log = Logger;

export interface LogOptions {
  /** The program: `cim-agent`, `cim-coordinator`, `cim`. */
  readonly name: string;
  readonly level: "error" | "warn" | "info" | "debug" | "trace" | "silent";
  /** The node whose daemon this is; absent for tools. */
  readonly node?: string;
  /** Default: stderr, written at once, so that the last line before a crash is not lost. */
  readonly destination?: DestinationStream;
}

const SECRET_KEYS = ["seed", "pass", "password", "token", "authorization", "credentials", "creds"];

/** Log as JSON lines on stderr (stdout belongs to a command's answer). No secret gets through, wherever it stands. */
export function createLog({ name, level, node, destination: given }: LogOptions): Log {
  return pino(
    {
      level,
      base: node === undefined ? { name } : { node, name },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]),
        censor: "[redacted]",
      },
      hooks: { streamWrite: withoutSecrets },
    },
    given ?? destination({ dest: 2, sync: true }),
  );
}

/** nkey seeds (S, the kind, 56 more of base32) and passwords in URLs, also inside messages and errors' stacks. */
const SEED = /\bS[ACNOUX][A-Z2-7]{56}\b/g;
const URL_CREDENTIALS = /(\b[a-z][a-z+-]*:\/\/)[^\s/@"]+@/g;

export function withoutSecrets(line: string): string {
  return line.replace(SEED, "[redacted]").replace(URL_CREDENTIALS, "$1[redacted]@");
}
