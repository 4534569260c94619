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

  @Option(
    help: ArgumentHelp(
      "Leave entries alone whose name contains this text, or matches it, or is inside a module that does.",
      valueName: "glob"), completion: Completion.tensors)
  var exclude: [String] = []

  @Option(help: ArgumentHelp("Take this off the pretrained model's names.", valueName: "prefix"))
  var pretrainedPrefix: String?

  @Option(help: ArgumentHelp("Take this off the target's names to match them.", valueName: "prefix"))
  var targetPrefix: String?

  @Option(help: ArgumentHelp("Which object in the pretrained file is the model.", valueName: "key"))
  var key: String?

  @Flag(help: "List every entry that is not transferred.")
  var detailed = false

  @OptionGroup var output: OutputOptions
  @OptionGroup var report: ReportOptions

  func run() throws {
    try report.withThreads {
      let source = try ModelSource.open(pretrained, key: key, reading: .preferred).preferred.stateDict()
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
      for text in result.unmatched { report.note("--exclude '\(text.printable())' leaves nothing out") }
      let saved = try output.save(checkpoint, to: destination, report)
      if report.json {
        try Results.print(json: IntersectResult(result: result, output: saved))
        return
      }
      Results.print(result.description)
      if detailed {
        for skipped in result.skipped {
          Results.print("  \(skipped.name.printable()): \(skipped.reason.printable())")
        }
      } else {
        for line in result.blocks() { Results.print("  \(line)") }
      }
      Results.print(output.writing.told(saved))
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

extension IntersectionReport {
  /// What was not transferred, by module and reason, in at most ten lines.
  fileprivate func blocks() -> [String] {
    var blocks: OrderedDictionary<String, [Skipped]> = [:]
    for entry in skipped {
      // Shapes differ from entry to entry: what they have in common is that they do.
      let reason = entry.reason.hasPrefix("shape ") ? "another shape" : entry.reason
      blocks["\(Self.block(entry.name)): \(reason)", default: []].append(entry)
    }
    let limit = 10
    let lines = blocks.map { text, entries in
      entries.count == 1
        ? "\(entries[0].name.printable()): \(entries[0].reason.printable())"
        : "\(text.printable()) (\(FigureText.count(entries.count, "entry", "entries")))"
    }
    guard lines.count > limit else { return lines }
    let rest = lines.count - limit + 1
    return lines.prefix(limit - 1) + ["… \(rest) more blocks; --detailed lists every entry"]
  }

  /// The part of a model that an entry is in: names up to the first number, or the first alone.
  private static func block(_ name: String) -> String {
    let parts = name.split(separator: ".")
    let end = parts.firstIndex { Int($0) != nil } ?? 0
    return parts.prefix(end + 1).joined(separator: ".")
  }
}
