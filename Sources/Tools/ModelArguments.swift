import ArgumentParser
import ModelUtils
import SystemPackage

/// Which model a subcommand works on.
struct ModelArguments: ParsableArguments {
  @Argument(help: ModelSource.help(more: " Default: yolov5n."), completion: Completion.models)
  var model: String?

  @Option(help: ModelSource.keyHelp)
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

  /// What the pickles of the file would do; nil where a model is built.
  func audit() throws -> PickleAudit? {
    guard let model, try architecture() == nil else { return nil }
    return model == ModelSource.stream
      ? try PickleAudit(ModelSource.bytes(model)) : try PickleAudit(contentsOf: FilePath(model))
  }

  /// Opens the file, or builds the architecture with the values that seed 0 gives.
  func open(_ report: ReportOptions, reading extent: Checkpoint.Extent = .all) throws -> Checkpoint {
    if model == nil { report.note("no model given: using \(Self.defaultArchitecture), initialised with seed 0") }
    return try ModelSource.open(model ?? Self.defaultArchitecture, key: key, reading: extent)
  }
}

/// Which models a subcommand works on, one after the other.
struct ModelsArguments: ParsableArguments {
  @Argument(
    help: ModelSource.help(more: " Several are done one after the other. Default: yolov5n."),
    completion: Completion.models)
  var models: [String] = []

  @Option(help: ModelSource.keyHelp)
  var key: String?

  /// Does something with each of them; see `Series`.
  func forEach(
    of command: some ParsableCommand, _ report: ReportOptions, _ body: (ModelArguments) throws -> Void
  ) throws {
    try forEach(models, isList: models.count > 1, of: command, report, body)
  }

  /// - Parameter isList: whether results are told of as those of several models, be there one.
  func forEach(
    _ models: [String], isList: Bool, of command: some ParsableCommand, _ report: ReportOptions,
    _ body: (ModelArguments) throws -> Void
  ) throws {
    guard isList || models.count > 1 else { return try body(ModelArguments(model: models.first, key: key)) }
    try Series.forEach(models, of: command, report) { try body(ModelArguments(model: $0, key: key)) }
  }
}
