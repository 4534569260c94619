import ArgumentParser

/// Whether results are written, and over what.
struct WritingFlags: ParsableArguments {
  @Flag(name: .shortAndLong, help: "Replace existing files.")
  var force = false

  @Flag(help: "Do everything but write.")
  var dryRun = false

  /// What was done, or would have been.
  var saved: String { dryRun ? "Would save" : "Saved" }

  func validate() throws {
    if dryRun { Results.markDryRun() }
  }
}
