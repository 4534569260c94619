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

      Exit status 1: the file is dangerous to load in Python, or broken; --fail-on says from which severity on.

      Example: mutils check downloaded.pt
      """)

  @OptionGroup var arguments: ModelsArguments
  @OptionGroup var report: ReportOptions

  @Flag(help: "List every finding, not each kind once.")
  var detailed = false

  @Flag(help: "The same as --fail-on suspicious.")
  var strict = false

  @Option(help: "The least severe finding that ends with status 1.")
  var failOn = Severity.broken

  /// The most severe first.
  enum Severity: String, Choice { case dangerous, broken, suspicious, warning, info }

  private static let order = Severity.allCases.map(\.rawValue)

  mutating func validate() throws {
    guard strict else { return }
    guard failOn == .broken else { throw ValidationError("--strict and --fail-on exclude each other") }
    failOn = .suspicious
  }

  func run() throws {
    try report.withThreads {
      let files = try CheckedFiles(arguments.models)
      if files.passedOver > 0 {
        report.note("\(FigureText.count(files.passedOver, "file")) of other kinds in the folders were not looked at")
      }
      try arguments.forEach(files.models, isList: files.hasFolder, of: self, report, check)
    }
  }

  private func check(_ arguments: ModelArguments) throws {
    let onnx = try arguments.onnx()
    let audit = onnx == nil ? try arguments.audit() : nil
    var findings = (audit?.findings ?? []).map {
      CheckFinding(severity: $0.verdict == .safe ? "info" : $0.verdict.rawValue, where: $0.place, what: $0.what)
    }
    findings +=
      try onnx.map { try self.findings(of: $0, arguments) }
      ?? numbers(of: arguments, hasVerdict: (audit?.pickles ?? 0) > 0)
    findings = Self.order.flatMap { severity in findings.filter { $0.severity == severity } }
    let verdict = audit?.verdict ?? .safe
    if report.json {
      try Results.print(json: CheckResult(verdict: verdict, findings: findings))
    } else {
      let packages = Self.packages(in: findings)
      let summary =
        audit?.pickles ?? 0 == 0 && verdict == .safe
        ? "Holds no pickles"
        : verdict == .suspicious && !packages.isEmpty
          ? "The pickles make objects of \(packages.formatted): they are as safe as the code of that name on your machine"
          : "The pickles are \(verdict.rawValue)"
      Results.print("\(summary); \(FigureText.count(findings.count, "finding"))")
      for line in detailed ? findings.map(\.line) : Self.grouped(findings) { Results.print("  \(line)") }
    }
    let failures = Self.order.prefix { $0 != failOn.rawValue } + [failOn.rawValue]
    if findings.contains(where: { failures.contains($0.severity) }) {
      Terminal.printNotes()
      throw ExitCode(1)
    }
  }

  /// What is wrong with an ONNX model's form, and with its numbers where they can be had.
  private func findings(of model: ONNXModel, _ arguments: ModelArguments) throws -> [CheckFinding] {
    let form = ONNXCheck(model).findings.map {
      CheckFinding(severity: $0.severity.rawValue, where: $0.name, what: $0.what)
    }
    return form
      + (form.contains { $0.severity == "broken" } && (try? model.stateDict()) == nil
        ? [] : try numbers(of: arguments, hasVerdict: false))
  }

  /// What is wrong with the numbers of every model in the file. A file of pickles has its verdict also where no model
  /// can be read from it: a list of tensors, an optimizer's state.
  private func numbers(of arguments: ModelArguments, hasVerdict: Bool) throws -> [CheckFinding] {
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

extension Check {
  /// One line for all findings that say the same, or make objects of one package.
  fileprivate static func grouped(_ findings: [CheckFinding]) -> [String] {
    var groups: OrderedDictionary<String, [CheckFinding]> = [:]
    for finding in findings {
      let subject = finding.package.map { "classes of \($0)" } ?? finding.what.filter { !$0.isNumber }
      groups["\(finding.severity): \(subject)", default: []].append(finding)
    }
    return groups.values.map { group in
      let first = group[0]
      guard group.count > 1 else { return first.line }
      if let package = first.package {
        let names = group.map { String($0.what.split(separator: ".").last ?? "") }
        return
          "\(first.told): Python would make objects of \(package): \(names.joined(separator: ", ").printable())"
      }
      return "\(first.line) (and \(group.count - 1) more of this kind; --detailed lists them)"
    }
  }

  /// The packages whose classes a file's pickles call, where nothing else makes them suspicious.
  fileprivate static func packages(in findings: [CheckFinding]) -> OrderedSet<String> {
    let suspicious = findings.filter { $0.severity == "suspicious" }
    let packages = OrderedSet(suspicious.compactMap(\.package))
    return suspicious.allSatisfy { $0.package != nil } ? packages : []
  }
}

extension OrderedSet<String> {
  fileprivate var formatted: String { joined(separator: ", ") }
}

private struct CheckFinding: Encodable {
  let severity: String
  let `where`: String
  let what: String

  var line: String { (`where`.isEmpty ? "\(told): " : "\(told): \(`where`.printable()): ") + what }

  /// The severity, for people.
  var told: String {
    let style: Style = ["dangerous", "broken"].contains(severity) ? .red : severity == "info" ? .green : .yellow
    return style.applied(to: severity, on: .standardOutput)
  }

  /// The well-known package whose class Python would make an object of.
  var package: String? {
    let prefix = "Python would call "
    guard severity == "suspicious", what.hasPrefix(prefix) else { return nil }
    let path = what.dropFirst(prefix.count).split(separator: ".")
    guard let top = path.first.map(String.init) else { return nil }
    // YOLOv5 and YOLOv7 save under the names of their own folders.
    if ["models", "yolov5"].contains(top), path.count > 1,
      ["common", "yolo", "experimental", "models"].contains(path[1])
    {
      return "yolov5"
    }
    return Self.known.contains(top) ? top : nil
  }

  private static let known: Set<String> = [
    "ultralytics", "timm", "torchvision", "yolov6", "yolox", "mmengine", "mmdet", "mmyolo", "detectron2",
    "transformers",
    "super_gradients",
  ]
}

private struct CheckResult: Encodable {
  let verdict: PickleVerdict
  let findings: [CheckFinding]
}
