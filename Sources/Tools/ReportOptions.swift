import ArgumentParser
import ModelUtils

/// How a subcommand talks.
struct TalkOptions: ParsableArguments {
  @Flag(help: "Print one JSON object and nothing else on standard output.")
  var json = false

  @Flag(name: .shortAndLong, help: "No notes and no progress.")
  var quiet = false

  @Flag(help: "Log what is recognised and found, on standard error.")
  var verbose = false

  func note(_ text: String) {
    if !quiet { Terminal.note(text) }
  }

  /// Runs `body` and tells of what it logs: warnings as notes.
  func withLog<R>(_ body: () throws -> R) rethrows -> R {
    let logger = verbose ? Terminal.logger : quiet ? ModelLog.logger : Terminal.notingLogger
    return try ModelLog.$logger.withValue(logger, operation: body)
  }
}

/// How a subcommand reports, and with how many threads it works.
struct ReportOptions: ParsableArguments {
  @OptionGroup var talk: TalkOptions

  @Option(help: ArgumentHelp("How many threads to use. Default: all processors.", valueName: "n"))
  var threads: Int?

  var json: Bool { talk.json }
  var quiet: Bool { talk.quiet }
  var verbose: Bool { talk.verbose }

  func validate() throws {
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads takes a number from 1 to 1024") }
  }

  func note(_ text: String) { talk.note(text) }

  /// Names what a file of tensors alone leaves out.
  func noteLeftOut(_ checkpoint: Checkpoint) {
    let names = checkpoint.leftOut
    if names.isEmpty { return }
    let key = checkpoint.preferredKey
    let model = key.isEmpty ? "the model" : "'\(key.printable())'"
    let count = FigureText.count(names.count, "entry", "entries")
    note("\(count) beside the tensors of \(model) \(names.count == 1 ? "is" : "are") left out: \(Text.list(names))")
  }

  /// Names what a narrower type cannot hold.
  func note(_ overflows: [Overflow], in dtype: DType) {
    let shown = 8
    for overflow in overflows.prefix(shown) {
      note("\(overflow.elements) elements of \(overflow.name.printable()) became infinite in \(dtype.rawValue)")
    }
    if overflows.count > shown { note("… and elements of \(overflows.count - shown) more tensors") }
  }

  func progress(_ what: String, of total: Int) -> Progress { Progress(what, of: total, isShown: !quiet) }

  /// Runs `body` with the number of threads asked for, and tells of what it writes and logs.
  /// - Parameters:
  ///   - processes: how many of this command share the machine.
  ///   - usual: the number where none was asked for; this process's share of the machine when nil.
  func withThreads<R>(among processes: Int = 1, usual: Int? = nil, _ body: () throws -> R) rethrows -> R {
    try Parallel.$threadCount.withValue(threads ?? usual ?? max(1, Parallel.threadCount / processes)) {
      try talk.withLog {
        let progress = FileProgress(isShown: !quiet)
        defer { progress.finish() }
        return try WritingProgress.$observer.withValue(WritingProgress.Observer(progress.show), operation: body)
      }
    }
  }
}
