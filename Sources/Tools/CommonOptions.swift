import ArgumentParser
import ModelUtils
import SystemPackage

/// Which model a subcommand works on.
struct ModelArguments: ParsableArguments {
  @Argument(
    help: """
      The model's file (PyTorch, safetensors, ONNX), a YOLOv5-style .yaml, or the name of a built-in architecture (yolov5n, resnet50, …). Default: yolov5n.
      """, completion: Completion.models)
  var model: String?

  @Option(help: ArgumentHelp("Which object in a PyTorch file is the model, such as 'ema' or 'a.b'.", valueName: "key"))
  var key: String?

  init() {}

  init(model: String?, key: String?) { (self.model, self.key) = (model, key) }

  /// The architecture that stands in for a model.
  static let defaultArchitecture = "yolov5n"

  /// What is to be built rather than read: the default, a YAML or an architecture by name.
  func architecture() throws -> Architecture? {
    guard let model else { return try Architecture(named: Self.defaultArchitecture) }
    return try ModelSource.architecture(model)
  }

  /// The file as an ONNX model, where it is one.
  func onnx() throws -> ONNXModel? {
    guard let onnx = try model.flatMap({ try ModelSource.onnx($0) }) else { return nil }
    guard key == nil else {
      throw ModelError(.invalid, "only PyTorch files have keys to choose from", file: model)
    }
    return onnx
  }

  /// Opens the file, or builds the architecture with the values that seed 0 gives.
  func open(_ report: ReportOptions) throws -> Checkpoint {
    if model == nil { report.note("no model given: using \(Self.defaultArchitecture), initialised with seed 0") }
    return try ModelSource.open(model ?? Self.defaultArchitecture, key: key)
  }

  /// The file that is read; nil where a model is built.
  var file: FilePath? {
    get throws { try architecture() == nil ? model.map { FilePath($0) } : nil }
  }
}

/// What a person names where a model is meant: a file, a YOLOv5-style YAML, or a built-in architecture.
enum ModelSource {
  static let help: ArgumentHelp =
    "The model's file (PyTorch, safetensors, ONNX), a YOLOv5-style .yaml, or the name of a built-in architecture."

  /// What is to be built rather than read: a YAML or, where no file has that name, an architecture by name.
  static func architecture(_ model: String) throws -> Architecture? {
    guard exists(model) else {
      if Architecture.names.contains(model) { return try Architecture(named: model) }
      if model.contains(where: { $0 == "/" || $0 == "." }) { return nil }
      do { return try Architecture(named: model) } catch var error as ModelError {
        error.reason = "there is no file and no architecture of this name"
        throw error
      }
    }
    let isNamed = ["yaml", "yml"].contains(FilePath(model).extension?.lowercased())
    guard let file = try? FileBytes(mapping: FilePath(model)), isNamed || Architecture.recognizes(yaml: file) else {
      return nil
    }
    return try Architecture(yaml: file)
  }

  /// A file as an ONNX model, where it is one.
  static func onnx(_ model: String) throws -> ONNXModel? {
    guard exists(model), try ONNXModel.stands(at: FilePath(model)) else { return nil }
    return try ONNXModel(contentsOf: FilePath(model))
  }

  /// Opens the file, or builds the architecture with the values that seed 0 gives.
  static func open(_ model: String, key: String? = nil) throws -> Checkpoint {
    guard let architecture = try architecture(model) else {
      var file = try Checkpoint(contentsOf: FilePath(model), key: key)
      if let name = file.recognizeFused() {
        ModelLog.logger.warning("\(model): a bare state dict, recognised as \(name), fused")
      }
      return file
    }
    guard key == nil else {
      throw ModelError(.invalid, "only PyTorch files have keys to choose from", file: architecture.name)
    }
    return Checkpoint(try architecture.module(), name: architecture.name)
  }

  private static func exists(_ path: String) -> Bool {
    (try? FileDescriptor.open(FilePath(path), .readOnly, options: [.nonBlocking]).close()) != nil
  }
}

extension Checkpoint {
  /// Does something with the file's models; an error names the file.
  func named<R>(_ body: () throws -> R) throws -> R {
    do { return try body() } catch let error as ModelError { throw error.inFile(name) }
  }

  /// The preferred model, where what it computes is known; tells what a bare state dict was taken for.
  func computableModule(_ report: TalkOptions) throws -> Module {
    if case .stateDict(let state) = preferred, let known = state.recognized() {
      report.note("a bare state dict, recognised as \(known.architecture.name)")
    }
    let module = try computableModule()
    let broken = try WeightCheck(module).findings.filter { $0.severity == .broken }
    if let first = broken.first {
      report.note(
        "\(broken.count) tensors hold NaN, infinity or variances below zero, such as '\(first.name.printable())', which ReLU and pools may hide (see mutils check)"
      )
    }
    return module
  }
}

/// How a model's file is written.
struct WritingOptions: ParsableArguments {
  @Flag(name: .shortAndLong, help: "Replace an existing file.")
  var force = false

  @Flag(help: "Write the state dict alone, not the whole module or checkpoint.")
  var stateDict = false

  @Option(
    help: ArgumentHelp(
      "Write safetensors as shards of at most this size, such as 2GB or 500MB, with an index.", valueName: "size"))
  var maxShardSize: ByteSize?

  /// - Throws: `ModelError` when the file exists and `--force` is not given, or its extension names no format.
  func check(_ path: FilePath) throws { try Self.check(path, force: force, isSharded: maxShardSize != nil) }

  static func check(_ path: FilePath, force: Bool, isSharded: Bool = false) throws {
    let format = try Checkpoint.OutputFormat(of: path)
    guard !isSharded || format == .safetensors else {
      throw ModelError(
        .invalid, "shards are written as safetensors only", file: path.string, advice: "use .safetensors")
    }
    for path in isSharded ? [path, SafeTensors.indexPath(for: path)] : [path] { try checkFree(path, force: force) }
  }

  /// - Throws: `ModelError` when the file exists and may not be replaced.
  static func checkFree(_ path: FilePath, force: Bool) throws {
    guard force || (try? FileDescriptor.open(path, .readOnly, options: [.nonBlocking]).close()) == nil else {
      throw ModelError(.exists, "exists already", file: path.string, advice: "give --force to replace it")
    }
  }

  /// Names the data files of an ONNX model that was written.
  static func noteData(of path: FilePath, _ report: ReportOptions) throws {
    guard try Checkpoint.OutputFormat(of: path) == .onnx else { return }
    let files = try ONNXModel(contentsOf: path).dataFiles
    if !files.isEmpty { report.note("the weights are beside it, in \(Text.list(files))") }
  }

  /// Where a file that was written is to be looked for: at the path, or at the index of its shards.
  func place(of path: FilePath) -> FilePath {
    let index = SafeTensors.indexPath(for: path)
    let isSharded = maxShardSize != nil && (try? FileDescriptor.open(path, .readOnly).close()) == nil
    return isSharded ? index : path
  }

  /// Whether the tensors alone are written, not the other objects of a PyTorch file.
  func writesTensorsAlone(_ checkpoint: Checkpoint, to path: FilePath) throws -> Bool {
    try stateDict || Checkpoint.OutputFormat(of: path) == .safetensors || checkpoint.format == .torchScript
  }

  /// Writes the file and says what of the input it does not hold.
  /// - Returns: how many bytes were written.
  @discardableResult
  func write(_ checkpoint: Checkpoint, to path: FilePath, _ report: ReportOptions) throws -> Int {
    if checkpoint.onnx != nil, try Checkpoint.OutputFormat(of: path) != .onnx {
      guard path.string != checkpoint.name else {
        throw ModelError(
          .unsupported, "is an ONNX model, which its weights alone would replace", file: path.string,
          advice: "give an output that ends in .onnx, or .safetensors for the weights")
      }
      report.note("the graph is left out: only .onnx holds it")
    }
    if try writesTensorsAlone(checkpoint, to: path) {
      report.noteLeftOut(checkpoint)
    } else if checkpoint.isUnwrapped {
      report.note("the module that torch.compile wrapped is written without the wrapper")
    }
    if !checkpoint.addedMembers.isEmpty {
      report.note(
        "members of the archive that are none of PyTorch's are left out: \(Text.list(checkpoint.addedMembers))")
    }
    let count = try checkpoint.write(to: path, stateDictOnly: stateDict, maxShardSize: maxShardSize?.bytes)
    if checkpoint.onnx != nil { try Self.noteData(of: path, report) }
    return count
  }
}

/// Where a subcommand writes its result.
struct OutputOptions: ParsableArguments {
  @Option(
    name: .shortAndLong,
    help: "The file to write; its extension picks the format. Default: beside the input, with a suffix.",
    completion: .file())
  var output: String?

  @OptionGroup var writing: WritingOptions

  /// Writes a file where there is a place for it.
  /// - Returns: where it stands; nil where nothing was written.
  func save(_ checkpoint: Checkpoint, to destination: FilePath?, _ report: ReportOptions) throws -> String? {
    guard let destination else { return nil }
    try writing.write(checkpoint, to: destination, report)
    return writing.place(of: destination).string
  }

  /// Where to write: what was asked for, or `dir/model-SUFFIX.pt` beside the input; nil for an architecture.
  /// - Throws: `ModelError` when the file exists and `--force` is not given, or its extension names no format.
  func destination(for arguments: ModelArguments, suffix: String) throws -> FilePath? {
    try destination(for: arguments.model, suffix: suffix)
  }

  /// The same for a model that is named; nil stands for the default architecture.
  /// - Throws: `ValidationError` for an output of no model.
  func destination(for model: String?, suffix: String) throws -> FilePath? {
    guard model != nil || output == nil else {
      throw ValidationError(
        "give the MODEL that is to be written: without one \(ModelArguments.defaultArchitecture) with random weights would be"
      )
    }
    guard let input = model, try ModelSource.architecture(input) == nil else {
      guard let output else { return nil }
      try writing.check(FilePath(output))
      return FilePath(output)
    }
    return try destination(forInput: input, suffix: suffix)
  }

  /// The same for an input that there always is.
  func destination(forInput input: String, suffix: String) throws -> FilePath {
    let path = output.map { FilePath($0) } ?? Self.derived(from: FilePath(input), suffix: suffix)
    try writing.check(path)
    return path
  }

  private static func derived(from input: FilePath, suffix: String) -> FilePath {
    var name = input.lastComponent?.string ?? "model"
    for ending in [".safetensors.index.json", ".bin.index.json", ".index.json"] where name.hasSuffix(ending) {
      name = name.dropLast(ending.count) + ".safetensors"
    }
    let (stem, ending) = split(FilePath(name))
    return input.removingLastComponent().appending("\(stem)-\(suffix).\(ending ?? "pt")")
  }

  /// A file's name without and with only the extension of a format that can be written, of which `pth.tar` is one.
  private static func split(_ file: FilePath) -> (stem: String, ending: String?) {
    guard let ending = file.extension, (try? Checkpoint.OutputFormat(of: file)) != nil else {
      return (file.string, nil)
    }
    let stem = file.stem ?? file.string
    guard ending.lowercased() == "tar" else { return (stem, ending) }
    let (inner, first) = split(FilePath(stem))
    return first.map { (inner, "\($0).\(ending)") } ?? (stem, ending)
  }
}

/// A number of bytes, written `2GB`, `500MB`, `1GiB` or plainly.
struct ByteSize: ExpressibleByArgument {
  let bytes: Int

  init?(argument: String) {
    let units = [
      "": 1, "B": 1, "KB": 1000, "MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000,
      "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40,
    ]
    let number = argument.prefix { $0.isNumber || $0 == "." }
    guard let value = Double(number), let unit = units[argument.dropFirst(number.count).uppercased()],
      value * Double(unit) >= 1, value * Double(unit) < 0x1p62
    else { return nil }
    bytes = Int(value * Double(unit))
  }
}
