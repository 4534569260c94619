import ArgumentParser
import ModelUtils
import SystemPackage

struct Intersect: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "intersect",
    abstract: "Transfers the pretrained weights that fit into another model.",
    discussion: """
      Both may be a file, a YOLOv5-style .yaml or the name of a built-in architecture; one that is built is initialised with seed 0, and \
      without -o nothing is written for it. What has the target's name and shape is transferred, converted to the target's element type; \
      the output is the target with these weights in. Prefixes of wrappers (module., model., ...) are matched by themselves, and where \
      nothing matches so are those that most names bear (net., backbone., ...); a note says which.

      Example: mutils intersect yolov5s.pt mymodel.pt --exclude anchor -o start.pt
      """)

  @Argument(help: "The model whose weights are taken.", completion: .file())
  var pretrained: String

  @Argument(help: "The model that is given them.", completion: .file())
  var target: String

  @Option(help: ArgumentHelp("Leave entries alone whose name contains this text.", valueName: "text"))
  var exclude: [String] = []

  @Option(help: ArgumentHelp("Take this off the pretrained model's names.", valueName: "prefix"))
  var pretrainedPrefix: String?

  @Option(help: ArgumentHelp("Take this off the target's names to match them.", valueName: "prefix"))
  var targetPrefix: String?

  @Option(help: ArgumentHelp("Which object in the pretrained file is the model.", valueName: "key"))
  var key: String?

  @OptionGroup var output: OutputOptions
  @OptionGroup var report: ReportOptions

  func run() throws {
    try report.withThreads {
      let source = try ModelSource.open(pretrained, key: key).preferred.stateDict()
      if source.hasMasks {
        report.note("the pretrained model holds pruning masks; apply them first: mutils prune --amount 0")
      }
      var checkpoint = try ModelSource.open(target)
      let destination = try output.destination(for: target, suffix: "intersected")
      var results: [IntersectionReport] = []
      let name = checkpoint.name
      try checkpoint.updateModels { _, model in
        do {
          results.append(
            try model.transfer(
              from: source, exclude: exclude, pretrainedPrefix: pretrainedPrefix, targetPrefix: targetPrefix))
        } catch let error as ModelError { throw error.inFile(name) }
      }
      guard let result = results.first else { return }
      for note in [result.prefixNote, result.hint].compactMap({ $0 }) { report.note(note) }
      if let destination { try output.writing.write(checkpoint, to: destination, report) }
      if report.json {
        try Terminal.print(json: IntersectResult(result: result, output: destination?.string))
        return
      }
      Terminal.print(result.description)
      for skipped in result.skipped {
        Terminal.print("  \(skipped.name.printable()): \(skipped.reason.printable())")
      }
      if let destination { Terminal.print("Saved \(destination.string)") }
    }
  }
}

private struct IntersectResult: Encodable {
  let result: IntersectionReport
  let output: String?

  private enum Key: String, CodingKey { case output }

  func encode(to encoder: any Encoder) throws {
    try result.encode(to: encoder)
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(output, forKey: .output)
  }
}
