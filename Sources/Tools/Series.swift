import ArgumentParser
import ModelUtils

/// A subcommand's work on several models, one after the other.
enum Series {
  /// Does something with each model. What fails is told of, with its reason, and does not keep the others from being
  /// done. With `--json` all results stand in one object, `models`, each with its `model`.
  /// - Throws: `ExitCode` of trouble where there was any, else the greatest that a model ended with.
  static func forEach(
    _ models: [String], of command: some ParsableCommand, _ report: ReportOptions, _ body: (String) throws -> Void
  ) throws {
    let trouble: Int32 = (command as? any AnsweringCommand)?.answersByStatus ?? false ? 2 : 1
    var status: Int32 = 0
    if report.json { Results.gather() }
    for model in models {
      Results.subject = model
      if !report.json { Results.print("\(model.printable()):") }
      do {
        try body(model)
        Terminal.printNotes()
      } catch let error as ModelError {
        Terminal.dropNotes()
        let named = error.inFile(model)
        Terminal.error(named, asJSON: report.json)
        if report.json { try Results.print(json: Failure(error: named)) }
        status = max(status, trouble)
      } catch let code as ExitCode {
        Terminal.printNotes()
        status = max(status, code.rawValue)
      }
    }
    Results.subject = nil
    if report.json { Results.printGathered(as: "models") }
    guard status == 0 else { throw ExitCode(status) }
  }

  private struct Failure: Encodable { let error: ModelError }
}
