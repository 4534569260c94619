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

      Exit status 1: the file is dangerous to load in Python, or broken; with --strict also where it names code that is not known.

      Example: mutils check downloaded.pt
      """)

  @OptionGroup var arguments: ModelArguments
  @OptionGroup var report: ReportOptions

  @Flag(help: "Let a suspicious file end with status 1 too.")
  var strict = false

  func run() throws {
    try report.withThreads {
      let onnx = try arguments.onnx()
      let audit = onnx == nil ? try arguments.file.map { try PickleAudit(contentsOf: $0) } : nil
      var findings = (audit?.findings ?? []).map {
        CheckFinding(severity: $0.verdict == .safe ? "info" : $0.verdict.rawValue, where: $0.place, what: $0.what)
      }
      findings += try onnx.map { try self.findings(of: $0) } ?? numbers(hasVerdict: (audit?.pickles ?? 0) > 0)
      let order = ["dangerous", "broken", "suspicious", "warning", "info"]
      findings = order.flatMap { severity in findings.filter { $0.severity == severity } }
      let verdict = audit?.verdict ?? .safe
      if report.json {
        try Terminal.print(json: CheckResult(verdict: verdict, findings: findings))
      } else {
        let hasNone = audit?.pickles ?? 0 == 0 && verdict == .safe
        let summary = hasNone ? "There are no pickles in it" : "The pickles are \(verdict.rawValue)"
        Terminal.print("\(summary); \(findings.count) findings")
        for finding in findings {
          let place = finding.where.isEmpty ? "" : finding.where.printable() + ": "
          Terminal.print("  \(finding.severity): \(place)\(finding.what)")
        }
      }
      let failures = ["dangerous", "broken"] + (strict ? ["suspicious"] : [])
      if findings.contains(where: { failures.contains($0.severity) }) {
        Terminal.printNotes()
        throw ExitCode(1)
      }
    }
  }

  /// What is wrong with an ONNX model's form, and with its numbers where they can be had.
  private func findings(of model: ONNXModel) throws -> [CheckFinding] {
    let form = ONNXCheck(model).findings.map {
      CheckFinding(severity: $0.severity.rawValue, where: $0.name, what: $0.what)
    }
    return form
      + (form.contains { $0.severity == "broken" } && (try? model.stateDict()) == nil
        ? [] : try numbers(hasVerdict: false))
  }

  /// What is wrong with the numbers of every model in the file. A file of pickles has its verdict also where no model
  /// can be read from it: a list of tensors, an optimizer's state.
  private func numbers(hasVerdict: Bool) throws -> [CheckFinding] {
    do {
      let models = try arguments.open(report).models
      return try models.flatMap { key, model in
        try WeightCheck(model).findings.map {
          let name = models.count > 1 ? "\(key).\($0.name)" : $0.name
          return CheckFinding(severity: $0.severity.rawValue, where: name, what: $0.what)
        }
      }
    } catch let error as ModelError where hasVerdict {
      let isOtherData = error.kind == .missing || error.kind == .unsupported
      let what = isOtherData ? "the numbers were not looked at: \(error.description)" : error.description
      return [CheckFinding(severity: isOtherData ? "info" : "broken", where: "", what: what)]
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
