import ArgumentParser
import ModelUtils
import SystemPackage

struct DatasetCheck: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Looks for faults in a set of pictures before anything is trained on it.",
    discussion: """
      DATA is a YOLO description (data.yaml, or a folder with one) or what 'train' takes: a folder with a folder of pictures for each \
      class, MNIST's files, an .npz or a .csv. Every picture is decoded and every line of labels read. Exits with 1 where there \
      is a fault; notes are what hinders nothing.

      Examples:
        mutils dataset check drawn
        mutils dataset check coco128.yaml --quick --json
      """)

  @Argument(help: "The set.", completion: .file())
  var data: String

  @Flag(help: "Read the pictures' heads alone, which does not find damage behind them.")
  var quick = false

  @OptionGroup var report: ReportOptions

  /// How many findings of a part are told in text.
  private static let shown = 20

  func run() throws {
    try report.withThreads {
      let parts = try checked()
      let faults = parts.reduce(0) { $0 + $1.faultCount }
      if report.json {
        try Results.print(json: SetReport(faultCount: faults, parts: parts))
      } else {
        for part in parts { show(part) }
        Results.print(faults == 0 ? "No faults" : "\(faults) \(faults == 1 ? "fault" : "faults")")
      }
      if faults > 0 { throw ExitCode(1) }
    }
  }

  private func checked() throws -> [SetReport.Part] {
    let path = FilePath(data)
    if try DetectionDescription.file(at: path) != nil {
      let description = try DetectionDescription(contentsOf: path)
      let parts = DetectionDescription.Part.allCases.filter { description.parts[$0] != nil }
      guard !parts.isEmpty else {
        throw ModelError(.missing, "names no pictures", file: description.name, advice: "it has train, val or test")
      }
      return try parts.map { part in
        let found = try description.report(part, decoding: !quick)
        guard found.pictureCount + found.faultCount > 0 else {
          throw ModelError(.missing, "has no pictures", file: found.name)
        }
        return SetReport.Part(part.rawValue, found, description.classNames)
      }
    }
    let sets = try ClassificationSets(contentsOf: path)
    let parts = [("train", sets.training), ("val", sets.validation)]
    return parts.compactMap { name, set in
      set.map { SetReport.Part(name, $0.report(decoding: !quick), $0.classNames) }
    }
  }

  private func show(_ part: SetReport.Part) {
    let boxes = part.boxes.map { " with \($0) boxes, \(part.unlabelled ?? 0) without labels" } ?? ""
    Results.print("\(part.part): \(part.pictures) pictures\(boxes)")
    for entry in part.classes { Results.print(CFormat.string("%10d  ", entry.count) + entry.name.printable()) }
    func list(_ findings: [SetReport.Finding], of count: Int, _ kind: String) {
      for finding in findings.prefix(Self.shown) { Results.print("  \(kind): \(finding.text)") }
      if count > Self.shown { Results.print("  … and \(count - Self.shown) more of these") }
    }
    list(part.faults, of: part.faultCount, "fault")
    if !report.quiet { list(part.notes, of: part.notes.count, "note") }
  }
}

/// What `dataset check --json` prints.
private struct SetReport: Encodable {
  struct Class: Encodable {
    let name: String
    /// Boxes of a detection set, else pictures.
    let count: Int
  }

  struct Finding: Encodable {
    let file: String
    let line: Int?
    let reason: String
    let text: String

    init(_ finding: SetFinding) {
      (file, line, reason, text) = (finding.file, finding.line, finding.reason, finding.description)
    }

    private enum CodingKeys: String, CodingKey { case file, line, reason }
  }

  struct Part: Encodable {
    let part: String
    let name: String
    let pictures: Int
    var boxes: Int?
    var unlabelled: Int?
    let classes: [Class]
    let faultCount: Int
    let faults: [Finding]
    var notes: [Finding] = []

    init(_ part: String, _ report: DetectionReport, _ names: [String]) {
      (self.part, name, pictures) = (part, report.name, report.pictureCount)
      (boxes, unlabelled) = (report.boxCount, report.unlabelledCount)
      classes = zip(names, report.boxesByClass).map(Class.init)
      (faultCount, faults, notes) = (
        report.faultCount, report.faults.map(Finding.init), report.notes.map(Finding.init)
      )
    }

    init(_ part: String, _ report: ClassificationReport, _ names: [String]) {
      (self.part, name, pictures) = (part, report.name, report.pictureCount)
      classes = zip(names, report.picturesByClass).map(Class.init)
      (faultCount, faults) = (report.faultCount, report.faults.map(Finding.init))
    }
  }

  let faultCount: Int
  let parts: [Part]
}
