/**
 * What keeps a lab from doing what was asked, in one line for a person.
 * `exitCode` 2: the options or this machine must change first; 1: the lab is not in the state that was asked for.
 */
export class LabError extends Error {
  override readonly name = "LabError";
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
