import { readFile, stat } from "node:fs/promises";

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
  let text: string;
  try {
    const { mode } = await stat(path);
    if ((mode & 0o007) !== 0) {
      throw new PasswordHashError(
        `${path} holds a password's hash but everybody can read it: chmod 600 ${path}`,
      );
    }
    text = (await readFile(path, "utf8")).trim();
  } catch (cause) {
    if (cause instanceof PasswordHashError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new PasswordHashError(`cannot read the password hash ${path}: ${why}`, { cause });
  }
  if (BCRYPT.test(text)) return text;
  throw new PasswordHashError(
    `${path} does not hold a bcrypt hash ($2a$…, 60 characters): make one with nats server passwd, or htpasswd -nBC 11`,
  );
}
