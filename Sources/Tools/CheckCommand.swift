import ArgumentParser
import ModelUtils
import SystemPackage

struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Looks for broken numbers and for code in the pickles.",
    discussion: """
      Numbers: NaN, infinities, what float16 would make infinite or zero, dead channels, running variances that are not positive, eps that a \
      state dict would lose. Pickles: everything that loading the file in Python would import or call, also in other members of the \
      archive and behind the pickle's end.

      Exit status 1: the file is dangerous to load in Python, or broken.

      Example: mutils check downloaded.pt
      """)

  @OptionGroup var arguments: ModelArguments
  @OptionGroup var report: ReportOptions

  func run() throws {
    try report.withThreads {
      let audit = try arguments.model.map { try PickleAudit(contentsOf: FilePath($0)) }
      var findings = (audit?.findings ?? []).map {
        CheckFinding(severity: $0.verdict == .safe ? "info" : $0.verdict.rawValue, where: $0.place, what: $0.what)
      }
      do {
        let check = try WeightCheck(try arguments.open(report).preferred)
        findings += check.findings.map {
          CheckFinding(severity: $0.severity.rawValue, where: $0.name, what: $0.what)
        }
      } catch let error as ModelError where audit?.verdict == .dangerous || audit?.verdict == .suspicious {
        // A file that is no model may still be worth a warning.
        findings.append(CheckFinding(severity: "broken", where: "", what: error.description))
      }
      let order = ["dangerous", "broken", "suspicious", "warning", "info"]
      findings = order.flatMap { severity in findings.filter { $0.severity == severity } }
      let verdict = audit?.verdict ?? .safe
      if report.json {
        try Terminal.print(json: CheckResult(verdict: verdict, findings: findings))
      } else {
        Terminal.print("The pickles are \(verdict.rawValue); \(findings.count) findings")
        for finding in findings {
          let place = finding.where.isEmpty ? "" : finding.where.printable() + ": "
          Terminal.print("  \(finding.severity): \(place)\(finding.what)")
        }
      }
      if findings.contains(where: { ["dangerous", "broken"].contains($0.severity) }) {
        Terminal.printNotes()
        throw ExitCode(1)
      }
    }
  }
}

private struct CheckFinding: Encodable {
  let severity: String
  let `where`: String
  let what: String
}

private struct CheckResult: Encodable {
  let verdict: PickleVerdict
  let findings: [CheckFinding]
}
