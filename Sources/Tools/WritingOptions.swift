import ArgumentParser
import ModelUtils
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Where a result goes.
enum Destination {
  case file(FilePath)
  /// With the format; the input's own where it is nil.
  case standardOutput(Checkpoint.OutputFormat?)

  /// As people are told of it.
  var name: String {
    switch self {
    case .file(let path): path.string
    case .standardOutput: ModelSource.stream
    }
  }

  func format(of checkpoint: Checkpoint) throws -> Checkpoint.OutputFormat {
    switch self {
    case .file(let path): try Checkpoint.OutputFormat(of: path)
    case .standardOutput(let format?): format
    case .standardOutput(nil):
      switch checkpoint.format {
      case .torch, .torchLegacy, .torchScript: .torch
      case .safetensors, .sharded: .safetensors
      case .onnx: .onnx
      }
    }
  }
}

/// How a model's file is written.
struct WritingOptions: ParsableArguments {
  @OptionGroup var flags: WritingFlags

  var force: Bool { flags.force }
  var dryRun: Bool { flags.dryRun }

  @Flag(help: "Write the state dict alone, not the whole module or checkpoint.")
  var stateDict = false

  @Option(
    help: ArgumentHelp(
      "Write safetensors as shards of at most this size, such as 2GB or 500MB, with an index.", valueName: "size"))
  var maxShardSize: ByteSize?

  @Option(
    help: ArgumentHelp(
      "The format where no file's name says it: pt, safetensors or onnx. Default: the input's.", valueName: "format"))
  var format: Format?

  enum Format: String, Choice {
    case pt, safetensors, onnx

    var format: Checkpoint.OutputFormat {
      switch self {
      case .pt: .torch
      case .safetensors: .safetensors
      case .onnx: .onnx
      }
    }
  }

  /// Where the output that was asked for goes, which is a file or standard output.
  /// - Throws: `ModelError` when the file exists and `--force` is not given, or its extension names no format or another
  ///   than `--format`.
  /// - Parameter makesFolder: whether the folder is made before anything is written.
  func destination(_ output: String, makesFolder: Bool = false) throws -> Destination {
    guard output != ModelSource.stream else {
      guard !Terminal.printsToTerminal || dryRun else {
        throw ModelError(
          .invalid, "a model is no text for a terminal", file: "standard output",
          advice: "send it into a pipe or a file")
      }
      guard maxShardSize == nil else {
        throw ModelError(.invalid, "shards are several files", file: "standard output", advice: "give a file's name")
      }
      Results.leaveStandardOutput()
      return .standardOutput(format?.format)
    }
    let path = FilePath(output)
    let named = try Checkpoint.OutputFormat(of: path)
    if let format, format.format != named {
      throw ModelError(
        .invalid, "is the name of another format than --format \(format.rawValue)", file: output,
        advice: "leave one of them out")
    }
    guard maxShardSize == nil || named == .safetensors else {
      throw ModelError(.invalid, "shards are written as safetensors only", file: output, advice: "use .safetensors")
    }
    if dryRun, !makesFolder { try checkFolder(of: path) }
    for path in maxShardSize == nil ? [path] : [path, SafeTensors.indexPath(for: path)] {
      try Self.checkFree(path, force: force)
    }
    return .file(path)
  }

  /// - Throws: `ModelError` as writing would where nothing can be written.
  private func checkFolder(of path: FilePath) throws {
    let folder = path.removingLastComponent()
    guard access(folder.isEmpty ? "." : folder.string, W_OK) != 0 else { return }
    throw ModelError(.system, "cannot be written: \(Errno(rawValue: errno))", file: path.string)
  }

  /// - Throws: `ModelError` when the file exists and may not be replaced.
  static func checkFree(_ path: FilePath, force: Bool) throws {
    guard force || (try? FileDescriptor.open(path, .readOnly, options: [.nonBlocking]).close()) == nil else {
      throw ModelError(.exists, "exists already", file: path.string, advice: "give --force to replace it")
    }
  }

  /// Where what was written is to be looked for: at its path, or at the index of its shards.
  func place(of destination: Destination) -> String {
    guard case .file(let path) = destination, maxShardSize != nil, !dryRun,
      (try? FileDescriptor.open(path, .readOnly).close()) == nil
    else { return destination.name }
    return SafeTensors.indexPath(for: path).string
  }

  /// Where a result stands, or why it stands nowhere.
  func told(_ place: String?) -> String {
    switch place {
    case nil: "Nothing is saved: give -o FILE"
    case ModelSource.stream?: dryRun ? "Would be written to standard output" : "Written to standard output"
    case let place?: "\(flags.saved) \(place.printable())"
    }
  }

  /// Writes the file and says what of the input it does not hold. With `--dry-run` its bytes go nowhere.
  /// - Returns: how many bytes were written.
  @discardableResult
  func write(_ checkpoint: Checkpoint, to destination: Destination, _ report: ReportOptions) throws -> Int {
    let format = try destination.format(of: checkpoint)
    if checkpoint.onnx != nil {
      if format == .onnx { return try write(checkpoint.updatedONNX(), to: destination, .asRead, report) }
      guard destination.name != checkpoint.name else {
        throw ModelError(
          .unsupported, "is an ONNX model, which its weights alone would replace", file: checkpoint.name,
          advice: "give an output that ends in .onnx, or .safetensors for the weights")
      }
      report.note("the graph is left out: only .onnx holds it")
    }
    if stateDict || format == .safetensors || checkpoint.format == .torchScript {
      report.noteLeftOut(checkpoint)
    } else if checkpoint.isUnwrapped {
      report.note("the module that torch.compile wrapped is written without the wrapper")
    }
    if !checkpoint.addedMembers.isEmpty {
      report.note(
        "members of the archive that are none of PyTorch's are left out: \(Text.list(checkpoint.addedMembers))")
    }
    return try put(checkpoint, at: destination, stateDictOnly: stateDict)
  }

  /// Writes the file without a word.
  /// - Returns: how many bytes were written.
  @discardableResult
  func put(_ checkpoint: Checkpoint, at destination: Destination, stateDictOnly: Bool = false) throws -> Int {
    if case .file(let path) = destination, !dryRun {
      return try checkpoint.write(to: path, stateDictOnly: stateDictOnly, maxShardSize: maxShardSize?.bytes)
    }
    let format = try destination.format(of: checkpoint)
    return try withStream(destination) {
      try checkpoint.write(to: $0, name: $1, format: format, stateDictOnly: stateDictOnly)
    }
  }

  /// Writes an ONNX model and names its data files.
  /// - Returns: how many bytes were written.
  @discardableResult
  func write(
    _ model: ONNXModel, to destination: Destination, _ place: ONNXModel.DataPlace, _ report: ReportOptions
  ) throws -> Int {
    guard case .file(let path) = destination, !dryRun else {
      let weights = model.constants.reduce(0) { $0 + ($1.tensor.byteCount ?? 0) }
      guard !dryRun || weights < 1 << 30 else { return weights }
      return try withStream(destination) { try model.write(to: $0, name: $1) }
    }
    let count = try model.write(to: path, data: place)
    let files = try ONNXModel(contentsOf: path).dataFiles
    if !files.isEmpty { report.note("the weights are beside it, in \(Text.list(files))") }
    return count
  }

  /// Standard output; with `--dry-run` what takes bytes and forgets them.
  private func withStream<R>(_ destination: Destination, _ body: (FileDescriptor, String) throws -> R) throws -> R {
    guard dryRun else { return try body(.standardOutput, "standard output") }
    let nowhere: FileDescriptor
    do { nowhere = try FileDescriptor.open("/dev/null", .writeOnly) } catch {
      throw ModelError(.system, "cannot be opened: \(error)", file: "/dev/null")
    }
    return try nowhere.closeAfter { try body(nowhere, destination.name) }
  }
}
