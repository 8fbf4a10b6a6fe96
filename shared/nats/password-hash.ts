import { readSecretFile } from "./secret-file.ts";

/** A file with a password's hash that cannot be used. The message is one line that names the file and what to do. */
export class PasswordHashError extends Error {
  override readonly name = "PasswordHashError";
  readonly exitCode = 2;
}

/** As nats-server takes it: `$2a$`, cost, salt and hash. */
const BCRYPT = /^\$2[abxy]\$\d{2}\$[./A-Za-z0-9]{53}$/;

/**
 * Reads the bcrypt hash of a password from a file that holds nothing else.
 * @throws {PasswordHashError} missing, readable by everybody, or something else, as the password itself
 */
export async function readPasswordHash(path: string): Promise<string> {
  const fault = (message: string, options?: ErrorOptions) => new PasswordHashError(message, options);
  const text = await readSecretFile(path, { name: "the password hash", holds: "a password's hash", fault });
  if (BCRYPT.test(text)) return text;
  throw new PasswordHashError(
    `${path} does not hold a bcrypt hash ($2a$…, 60 characters): make one with nats server passwd, or htpasswd -nBC 11`,
  );
}
