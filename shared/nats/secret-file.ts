import { readFile, stat } from "node:fs/promises";
import { errorText } from "../protocol/error-text.ts";

/** A file with a password that cannot be used. The message is one line that names the file and what to do. */
export class PasswordFileError extends Error {
  override readonly name = "PasswordFileError";
  readonly exitCode = 2;
}

/** What a secret file is, for its messages, and what is thrown. */
export interface SecretKind {
  /** As `the nkey seed`. */
  readonly name: string;
  /** As `a secret key`. */
  readonly holds: string;
  readonly fault: (message: string, options?: ErrorOptions) => Error;
}

/** Reads a file that holds one secret and perhaps a newline. @throws the kind's fault: missing, or readable by everybody */
export async function readSecretFile(path: string, { name, holds, fault }: SecretKind): Promise<string> {
  const unreadable = (cause: unknown) => {
    const why = errorText(cause);
    throw fault(`cannot read ${name} ${path}: ${why}`, { cause });
  };
  // Group bits say nothing here: systemd hands credentials over with an access list that shows as such.
  const { mode } = await stat(path).catch(unreadable);
  if ((mode & 0o007) !== 0)
    throw fault(`${path} holds ${holds} but everybody can read it: chmod 600 ${path}`);
  return (await readFile(path, "utf8").catch(unreadable)).trim();
}

/** @throws {PasswordFileError} missing, readable by everybody, or empty */
export async function readPasswordFile(path: string): Promise<string> {
  const fault = (message: string, options?: ErrorOptions) => new PasswordFileError(message, options);
  const text = await readSecretFile(path, { name: "the password", holds: "a password", fault });
  if (text === "") throw fault(`${path} is empty: write the password into it`);
  return text;
}
