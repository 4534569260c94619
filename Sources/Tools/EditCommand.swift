import ArgumentParser
import ModelUtils
import SystemPackage

struct Edit: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "edit",
    abstract: "Renames, drops, adds and merges what a file holds.",
    discussion: """
      Names of tensors are patterns (*, ?, [a-z]) of the whole name or of a module around it. In a new name each * or ? stands for what the \
      pattern's wildcard of the same place stood for. --keep and --drop are about the names before --rename. --set and --unset are about what stands beside the tensors: the metadata of a \
      safetensors file, the entries of a PyTorch checkpoint, where true, false, null and numbers are such.

      Examples:
        mutils edit ddp.pt --rename 'module.*=*' -o plain.pt
        mutils edit yolov5s.safetensors --keep 'model.[0-9]' --set note='the backbone' -o backbone.safetensors
        mutils edit backbone.safetensors --merge head.safetensors -o whole.safetensors
      """)

  @Argument(help: "The file to read.", completion: .file())
  var file: String

  @Option(
    help: ArgumentHelp("Give what the pattern matches another name.", valueName: "old=new"),
    completion: Completion.tensors)
  var rename: [String] = []

  @Option(help: ArgumentHelp("Keep only tensors of these names.", valueName: "glob"), completion: Completion.tensors)
  var keep: [String] = []

  @Option(help: ArgumentHelp("Take tensors of these names out.", valueName: "glob"), completion: Completion.tensors)
  var drop: [String] = []

  @Option(help: ArgumentHelp("Add the tensors of another file.", valueName: "file"), completion: .file())
  var merge: [String] = []

  @Option(help: ArgumentHelp("Set an entry beside the tensors.", valueName: "key=value"))
  var set: [String] = []

  @Option(help: ArgumentHelp("Take an entry beside the tensors out.", valueName: "key"))
  var unset: [String] = []

  @Option(help: ModelSource.keyHelp)
  var key: String?

  @OptionGroup var output: OutputOptions
  @OptionGroup var report: ReportOptions

  private var editsTensors: Bool { !(rename.isEmpty && keep.isEmpty && drop.isEmpty && merge.isEmpty) }

  func validate() throws {
    guard editsTensors || !set.isEmpty || !unset.isEmpty else {
      throw ValidationError("say what to edit: --rename, --keep, --drop, --merge, --set or --unset")
    }
    for text in set where text.firstIndex(of: "=").map({ $0 > text.startIndex }) != true {
      throw ValidationError("--set takes key=value, not '\(text.printable())'")
    }
    do { _ = try rename.map { try RenamePattern($0) } } catch let error as ModelError {
      throw ValidationError(error.description)
    }
  }

  func run() throws {
    try report.withThreads {
      var checkpoint = try ModelSource.file(file, key: key)
      let destination = try output.destination(for: file, suffix: "edited")
      guard checkpoint.onnx == nil else {
        throw ModelError(
          .unsupported, "is an ONNX model, whose names its nodes use", file: file,
          advice: "take its weights out first: mutils convert to .safetensors")
      }
      let edited = try editTensors(of: &checkpoint, for: destination)
      for pattern in edited.unmatched { report.note("no tensor matches '\(pattern.printable())'") }
      try editEntries(of: &checkpoint, for: destination)
      let saved = try output.save(checkpoint, to: destination, report)
      let tensors = checkpoint.preferred.stateDict().count
      if report.json { return try Results.print(json: EditResult(edited: edited, tensors: tensors, output: saved)) }
      Results.print(
        "\(FigureText.count(tensors, "tensor")): \(edited.renamed) renamed, \(edited.dropped) dropped, \(edited.added) added; "
          + "\(FigureText.count(set.count + unset.count, "entry", "entries")) beside them changed")
      Results.print(output.writing.told(saved))
    }
  }

  private func editTensors(of checkpoint: inout Checkpoint, for destination: Destination?) throws -> EditReport {
    var none = StateDict()
    guard editsTensors else { return try none.edit() }
    let metadata = checkpoint.metadata
    if let module = checkpoint.preferred.module {
      let writesModule = try destination?.format(of: checkpoint) == .torch && !output.writing.stateDict
      guard !writesModule || !checkpoint.isWholeModule else {
        throw ModelError(
          .unsupported, "holds a whole module, whose names are its classes'", file: file,
          advice: "give --state-dict to write its tensors alone, or an output that ends in .safetensors")
      }
      checkpoint.preferred = .stateDict(module.stateDict())
    }
    if !metadata.isEmpty { checkpoint.metadata = metadata }
    let others = try merge.map { try ModelSource.file($0, reading: .preferred).preferred.stateDict() }
    let rules = try rename.map { try RenamePattern($0) }
    var state = checkpoint.preferred.stateDict()
    let result: EditReport
    do {
      result = try state.edit(
        keep: keep.map { Glob($0) }, drop: drop.map { Glob($0) }, rename: rules, merging: others)
    } catch let error as ModelError { throw error.inFile(file) }
    guard state.count > 0 else {
      throw ModelError(.invalid, "no tensor would be left", file: file, advice: "see its names: mutils info --tensors")
    }
    checkpoint.preferred = .stateDict(state)
    return result
  }

  private func editEntries(of checkpoint: inout Checkpoint, for destination: Destination?) throws {
    guard !set.isEmpty || !unset.isEmpty else { return }
    if try (destination ?? .standardOutput(nil)).format(of: checkpoint) == .safetensors {
      for text in set {
        let (name, value) = Self.parts(text)
        checkpoint.metadata[name] = value
      }
      for name in unset { checkpoint.metadata[name] = nil }
      return
    }
    guard checkpoint.hasEntries, !output.writing.stateDict else {
      throw ModelError(
        .unsupported, "is a model alone, beside which nothing stands in a PyTorch file", file: file,
        advice: "write .safetensors, whose metadata can hold text")
    }
    for text in set {
      let (name, value) = Self.parts(text)
      try checkpoint.setEntry(name, to: Self.attribute(value))
    }
    for name in unset {
      guard checkpoint.entry(name) != nil else {
        report.note("there is no entry '\(name.printable())'")
        continue
      }
      try checkpoint.removeEntry(name)
    }
  }

  private static func parts(_ text: String) -> (String, String) {
    let end = text.firstIndex(of: "=") ?? text.endIndex
    return (String(text[..<end]), String(text[end...].dropFirst()))
  }

  private static func attribute(_ text: String) -> Attribute {
    switch text {
    case "true": .bool(true)
    case "false": .bool(false)
    case "null": .none
    default: Int(text).map { .int($0) } ?? Double(text).map { .double($0) } ?? .string(text)
    }
  }
}

private struct EditResult: Encodable {
  let edited: EditReport
  let tensors: Int
  let output: String?

  private enum Key: String, CodingKey { case tensors, output }

  func encode(to encoder: any Encoder) throws {
    try edited.encode(to: encoder)
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(tensors, forKey: .tensors)
    try container.encode(output, forKey: .output)
  }
}
