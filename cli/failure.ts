/**
 * Exit codes of `cim`: 1 what was asked about is not there, or not as it should be; 2 wrong usage or configuration. The test
 * is what has to be changed: 2 where the same line is wrong whatever goes on in the fleet, and where it names no place to ask (as
 * a `--node` that the lab has not).
 */
export type FailureCode = 1 | 2;

/** Ends a command with one clear line on stderr and this exit code. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  readonly exitCode: FailureCode;

  constructor(message: string, exitCode: FailureCode = 1, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** Wrong usage: what was wrong, where, what to write instead. */
export function usage(message: string): CommandFailure {
  return new CommandFailure(message, 2);
}

/** Errors of lower layers about what a person must change first: a file, a variable, an installation. */
const setUpErrors = new Set(["ConfigError", "SeedFileError", "ServerBinaryError", "ServerConfigError"]);

/** The code for whatever was thrown; errors of lower layers may bring their own `exitCode`. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof Error) {
    if ("exitCode" in error && typeof error.exitCode === "number") return error.exitCode;
    if (setUpErrors.has(error.name)) return 2;
  }
  return 1;
}

/** One line for a person; the stack only with CIM_DEBUG, and for what nobody foresaw. */
export function describeFailure(error: unknown, env: NodeJS.ProcessEnv): string {
  if (!(error instanceof Error)) return String(error);
  if (env.CIM_DEBUG) return error.stack ?? error.message;
  return error.message;
}
