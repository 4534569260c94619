import ArgumentParser
import ModelUtils

struct Env: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "env",
    abstract: "Tells versions, the machine and its devices, for a report of a fault.",
    discussion: "Example: mutils env --json")

  @OptionGroup var report: ReportOptions

  func run() throws {
    let environment = try report.withThreads { try RuntimeEnvironment.current() }
    if report.json { return try Results.print(json: environment) }
    Results.print(environment.description)
  }
}
