import ArgumentParser
import ModelUtils

struct Find: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "find",
    abstract: "Indices and names of the modules of a type.",
    discussion: """
      Exit status 1: there are none. Derived classes are found as well. The index is the module's place among all modules, the root being 0.

      Examples:
        mutils find yolov5s.pt --type Conv2d
        mutils find yolov5s.pt --type 'Conv*' --name 'model.2?.*'
      """)

  @OptionGroup var arguments: ModelsArguments
  @OptionGroup var report: ReportOptions

  @Option(help: "The class's name or full path; * and ? are wildcards.")
  var type: String?

  @Option(help: ArgumentHelp("Only modules whose dotted path matches this pattern.", valueName: "glob"))
  var name: String?

  func run() throws {
    try report.withThreads { try arguments.forEach(of: self, report, find) }
  }

  private func find(_ arguments: ModelArguments) throws {
    let checkpoint = try arguments.open(report, reading: .preferred)
    if let onnx = checkpoint.onnx {
      return try show(onnx.findNodes(type: type.map { Glob($0) }, name: name.map { Glob($0) })) {
        onnx.findNodes(type: $0.map { Glob($0) })
      }
    }
    guard let module = checkpoint.preferred.module ?? checkpoint.preferred.stateDict().recognized()?.module else {
      throw ModelError(
        .unsupported,
        "is a bare state dict of no known architecture, which does not say what its modules are",
        file: checkpoint.name,
        advice: "use a file that holds the whole module")
    }
    try show(module.findModules(type: type.map { Glob($0) }, name: name.map { Glob($0) })) {
      module.findModules(type: $0.map { Glob($0) })
    }
  }

  /// - Parameter all: what there is of a type, or at all.
  private func show(_ found: [FoundModule], among all: (String?) -> [FoundModule]) throws {
    if found.isEmpty { report.note("no such modules\(hint(all))") }
    if report.json { try Results.print(json: FindResult(modules: found)) }
    guard !found.isEmpty else {
      Terminal.printNotes()
      throw ExitCode(1)
    }
    if report.json { return }
    for module in found {
      let path = module.name.isEmpty ? "." : module.name.printable()
      Results.print(CFormat.string("%6d  ", module.index) + "\(path) (\(module.type.printable()))")
    }
  }

  /// The types that there are, where none is the one that was asked for; else the names.
  private func hint(_ all: (String?) -> [FoundModule]) -> String {
    let ofType = all(type)
    let nearest =
      if let type, ofType.isEmpty { all(nil).map(\.type).nearest(to: type) } else {
        ofType.map(\.name).nearest(to: name ?? "")
      }
    return nearest.isEmpty ? "" : "; the nearest are \(nearest.printable())"
  }
}

private struct FindResult: Encodable {
  let modules: [FoundModule]
}
