import ArgumentParser
import ModelUtils
import SystemPackage

/// Where a subcommand writes its result.
struct OutputOptions: ParsableArguments {
  @Option(
    name: .shortAndLong,
    help:
      "The file to write; its extension picks the format. A folder gets a file of the input's name, - is standard output. Default: beside the input, with a suffix.",
    completion: .file())
  var output: String?

  @OptionGroup var writing: WritingOptions

  /// Writes a file where there is a place for it.
  /// - Returns: where it stands; nil where nothing was written.
  func save(_ checkpoint: Checkpoint, to destination: Destination?, _ report: ReportOptions) throws -> String? {
    guard let destination else { return nil }
    try writing.write(checkpoint, to: destination, report)
    return writing.place(of: destination)
  }

  /// Where to write: what was asked for, in a folder under the input's name, or `dir/model-SUFFIX.pt` beside the input;
  /// nil for an architecture and for standard input.
  /// - Throws: `ValidationError` for an output of no model; `ModelError` as `WritingOptions.destination`.
  func destination(for model: String?, suffix: String) throws -> Destination? {
    guard model != nil || output == nil else {
      throw ValidationError(
        "give the MODEL that is to be written: without one \(ModelArguments.defaultArchitecture) with random weights would be"
      )
    }
    if let output {
      guard isFolder else { return try writing.destination(output) }
      return try writing.destination(name(in: output, for: model ?? "model"), makesFolder: true)
    }
    guard let model, model != ModelSource.stream, try ModelSource.architecture(model) == nil else { return nil }
    let input = FilePath(model)
    let (stem, ending) = parts(ofOutputFor: input)
    return try writing.destination(input.removingLastComponent().appending("\(stem)-\(suffix).\(ending)").string)
  }

  /// - Throws: `ValidationError` where several models would be written to one place.
  func check(for models: [String]) throws {
    guard models.count > 1, let output else { return }
    guard isFolder else { throw ValidationError("several models are written into a folder: -o FOLDER/") }
    var taken: [String: String] = [:]
    for model in models {
      let name = fileName(for: model)
      if let other = taken.updateValue(model, forKey: name) {
        throw ValidationError(
          "\(output)\(output.hasSuffix("/") ? "" : "/")\(name) would be written for \(other) and for \(model)")
      }
    }
  }

  /// Whether the output for a model is to be an ONNX model.
  func writesONNX(for model: String) throws -> Bool {
    if output == ModelSource.stream {
      return try writing.format == .onnx || (writing.format == nil && ModelSource.onnx(model) != nil)
    }
    let name = isFolder ? fileName(for: model) : output ?? ""
    return FilePath(name).extension?.lowercased() == "onnx"
  }

  /// Whether the output is a folder, in which files have their inputs' names.
  private var isFolder: Bool {
    output.map { $0.hasSuffix("/") || PictureFiles.isFolder(FilePath($0)) } ?? false
  }

  /// In a folder, which is made where there is none.
  private func name(in folder: String, for model: String) throws -> String {
    let folder = FilePath(folder)
    if !writing.dryRun { try PictureFiles.makeFolder(folder) }
    return folder.appending(fileName(for: model)).string
  }

  private func fileName(for model: String) -> String {
    let (stem, ending) = parts(ofOutputFor: FilePath(model == ModelSource.stream ? "model" : model))
    return "\(stem).\(ending)"
  }

  /// What an output is called by its input's name, and the extension of its format.
  private func parts(ofOutputFor input: FilePath) -> (stem: String, ending: String) {
    var name = input.lastComponent?.string ?? "model"
    for ending in [".safetensors.index.json", ".bin.index.json", ".index.json"] where name.hasSuffix(ending) {
      name = name.dropLast(ending.count) + ".safetensors"
    }
    for ending in [".yaml", ".yml"] where name.hasSuffix(ending) { name = String(name.dropLast(ending.count)) }
    let (stem, ending) = Self.split(FilePath(name))
    guard let format = writing.format else {
      return (stem, ending ?? (writing.maxShardSize == nil ? "pt" : "safetensors"))
    }
    let named = ending.flatMap { try? Checkpoint.OutputFormat(of: FilePath("model.\($0)")) }
    return (stem, named == format.format ? ending ?? format.rawValue : format.rawValue)
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
