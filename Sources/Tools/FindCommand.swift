import ArgumentParser
import ModelUtils

struct Find: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "find",
    abstract: "Indices and names of the modules of a type.",
    discussion: """
      Derived classes are found as well. The index is the module's place among all modules, the root being 0.

      Examples:
        mutils find yolov5s.pt --type Conv2d
        mutils find yolov5s.pt --type 'Conv*' --name 'model.2?.*'
      """)

  @OptionGroup var arguments: ModelArguments
  @OptionGroup var report: ReportOptions

  @Option(help: "The class's name or full path; * and ? are wildcards.")
  var type: String?

  @Option(help: ArgumentHelp("Only modules whose dotted path matches this pattern.", valueName: "glob"))
  var name: String?

  func run() throws {
    try report.withThreads {
      let checkpoint = try arguments.open(report)
      if let onnx = checkpoint.onnx {
        return try show(onnx.findNodes(type: type.map { Glob($0) }, name: name.map { Glob($0) }))
      }
      guard let module = checkpoint.preferred.module ?? checkpoint.preferred.stateDict().recognized()?.module else {
        throw ModelError(
          .unsupported,
          "is a bare state dict of no known architecture, which does not say what its modules are",
          file: checkpoint.name,
          advice: "use a file that holds the whole module")
      }
      try show(module.findModules(type: type.map { Glob($0) }, name: name.map { Glob($0) }))
    }
  }

  private func show(_ found: [FoundModule]) throws {
    if report.json {
      try Terminal.print(json: FindResult(modules: found))
      return
    }
    for module in found {
      let path = module.name.isEmpty ? "." : module.name.printable()
      Terminal.print(CFormat.string("%6d  ", module.index) + "\(path) (\(module.type.printable()))")
    }
    if found.isEmpty { report.note("no such modules") }
  }
}

private struct FindResult: Encodable {
  let modules: [FoundModule]
}
