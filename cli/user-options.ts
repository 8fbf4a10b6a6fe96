import type { Command } from "commander";
import { usage } from "./failure.ts";

/** Who a command is at a node's server. Secrets come from files: a command line is for everybody to see. */
export interface UserOptions {
  readonly seedFile?: string;
  readonly user?: string;
  readonly passwordFile?: string;
}

export function withUserOptions(command: Command): Command {
  return command
    .option("--seed-file <file>", "the user's nkey seed, where the server asks (or CIM_NATS_SEED_FILE)")
    .option("--user <name>", "the user, where the server asks for a password (or CIM_NATS_USER)")
    .option("--password-file <file>", "the user's password, one line (or CIM_NATS_PASSWORD_FILE)");
}

/**
 * The credentials that are meant: those of the options, else those of the environment, else none. Pure.
 *
 * @throws CommandFailure half of them, or two kinds at once
 */
export function userOf(options: UserOptions, env: NodeJS.ProcessEnv = process.env): UserOptions {
  const given = pick(options.seedFile, options.user, options.passwordFile);
  if (given.seedFile !== undefined || given.passwordFile !== undefined) {
    const { user = env.CIM_NATS_USER } = given;
    return checked(given.seedFile === undefined && user ? { ...given, user } : given, FLAGS);
  }
  if (given.user !== undefined) {
    const passwordFile = env.CIM_NATS_PASSWORD_FILE;
    return checked({ ...given, ...(passwordFile && { passwordFile }) }, FLAGS);
  }
  return checked(pick(env.CIM_NATS_SEED_FILE, env.CIM_NATS_USER, env.CIM_NATS_PASSWORD_FILE), [
    "CIM_NATS_SEED_FILE",
    "CIM_NATS_USER",
    "CIM_NATS_PASSWORD_FILE",
  ]);
}

const FLAGS = ["--seed-file", "--user", "--password-file"] as const;

function pick(seedFile?: string, user?: string, passwordFile?: string): UserOptions {
  return { ...(seedFile && { seedFile }), ...(user && { user }), ...(passwordFile && { passwordFile }) };
}

function checked(given: UserOptions, [seedFile, user, passwordFile]: readonly [string, string, string]) {
  if (given.seedFile !== undefined && (given.user ?? given.passwordFile) !== undefined)
    throw usage(`${seedFile} and ${user} are two ways to be a user: write one of them`);
  if (given.user !== undefined && given.passwordFile === undefined)
    throw usage(`${user}: the password comes from a file: write ${passwordFile} too`);
  if (given.passwordFile !== undefined && given.user === undefined)
    throw usage(`${passwordFile}: whose password it is: write ${user} too`);
  return given;
}
