import ArgumentParser
import ModelUtils

struct Info: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Layers, parameters, gradients and FLOPs of a model.",
    discussion: """
      Example: mutils info yolov5s.pt --modules

      The first line is YOLOv5's: Model Summary: 214 layers, 7235389 parameters, 0 gradients, 16.6 GFLOPs
      """)

  @Argument(
    help: ModelSource.help(more: " Several are told of in a table. Default: yolov5n."), completion: Completion.models)
  var models: [String] = []

  @Option(help: ModelSource.keyHelp)
  var key: String?

  @OptionGroup var report: ReportOptions

  @Option(
    help: ArgumentHelp(
      "The size of the input in pixels, as 640 or 480x640. Default: what the model is meant for, else 640.",
      valueName: "size"))
  var imageSize: ImageSize?

  @OptionGroup var sizes: ShapeOptions

  @Option(
    help: ArgumentHelp(
      "Which FLOPs to print: thop, ultralytics, readme or macs, an ONNX model's only ones. Default: thop.",
      valueName: "name"))
  var convention: FlopsConvention?

  @Flag(
    help: ArgumentHelp(
      "Measure thop's FLOPs as YOLOv5 does: at one stride, times the area.",
      discussion: "Exact for convolutions alone; too much where a layer's cost does not depend on the picture."))
  var extrapolate = false

  @Flag(help: "Add torch_utils' table of parameters with their mean and deviation (reads all values).")
  var detailed = false

  @Flag(help: "Add a table of modules.")
  var modules = false

  @Option(
    help: ArgumentHelp("Only modules so deep in the tree, those below added to them, for --modules.", valueName: "n"))
  var depth: Int?

  @Option(help: ArgumentHelp("The most first: macs, parameters or bytes, for --modules.", valueName: "what"))
  var sort: ModuleTable.Order?

  @Option(help: ArgumentHelp("Only so many rows, for --modules.", valueName: "n"))
  var top: Int?

  @Flag(help: "Add a table of tensors.")
  var tensors = false

  @Flag(help: "Tell what values are like, in --tensors, and count zeros (reads all values).")
  var statistics = false

  @Flag(help: "Tell more of the model, as on a terminal.")
  var overview = false

  private var arguments: ModelArguments { ModelArguments(model: models.first, key: key) }

  func validate() throws {
    guard sizes.shape.isEmpty || !extrapolate else {
      throw ValidationError("--extrapolate needs pictures; leave --shape out.")
    }
    guard (depth == nil && sort == nil && top == nil) || modules else {
      throw ValidationError("--depth, --sort and --top go with --modules")
    }
    guard depth ?? 1 >= 0, top ?? 1 >= 0 else { throw ValidationError("--depth and --top take numbers from 0") }
    guard models.count < 2 || !(modules || tensors || detailed || overview || extrapolate || key != nil) else {
      throw ValidationError("of several models a table is printed: --detailed, --modules and the like go with one")
    }
    guard !statistics || tensors || overview || report.json || Terminal.printsToTerminal else {
      throw ValidationError("--statistics goes with --tensors or --overview")
    }
    guard !extrapolate || convention ?? .thop == .thop else {
      throw ValidationError("--extrapolate is a way of measuring thop's FLOPs; leave --convention out.")
    }
  }

  func run() throws {
    try report.withThreads {
      if models.count > 1 { return try compare() }
      if let model = try arguments.onnx() {
        guard !extrapolate else {
          throw ModelError(
            .invalid, "has multiplications counted for each size: --extrapolate measures PyTorch's modules",
            file: model.name)
        }
        return try ONNXInfoReport(
          model, ONNXInputs(model, sizes, imageSize: imageSize, batchSize: 1)
        ).show(report, asked: imageSize, convention: convention, detailed: detailed, modules: modules)
      }
      let checkpoint = try arguments.open(report, reading: .preferred)
      let size = imageSize ?? checkpoint.pictureSize.map { ImageSize($0) } ?? ImageSize(height: 640, width: 640)
      let info =
        sizes.shape.isEmpty
        ? checkpoint.preferred.modelInfo(
          imageSize: (size.height, size.width),
          extrapolatingFrom: extrapolate ? try checkpoint.stride() : nil)
        : checkpoint.preferred.modelInfo(inputShapes: sizes.shape.map(\.lengths))
      // Looking at all weights takes a while, and hardly ever is it printed in a script.
      let overview = { ModelOverview(checkpoint, info, inputs: inputs(of: checkpoint, size)) }
      if report.json {
        try Results.print(
          json: InfoResult(
            info: info, imageSize: size, file: checkpoint, overview: overview(), bytes: bytes(of: checkpoint),
            zeros: statistics ? sparsity(of: checkpoint) : nil,
            tensors: tensors ? TensorRow.rows(of: checkpoint.preferred, hasStatistics: statistics) : nil))
        return
      }
      Results.print(info.summary(convention ?? .thop))
      if self.overview || Terminal.printsToTerminal {
        let lines = try overview().lines(bytes: bytes(of: checkpoint), size: size, zeros: sparsity(of: checkpoint))
        Results.print(lines.joined(separator: "\n"))
      }
      if let reason = info.gflopsReason { report.note("no GFLOPs: \(reason.printable())\(sizeAdvice(checkpoint))") }
      if info.gflops != nil, imageSize == nil, sizes.shape.isEmpty {
        report.note("for a picture of \(size.height) x \(size.width); give --image-size for another")
      }
      for part in info.notCounted {
        report.note("not counted: \(part.path.printable()) (\(part.className.printable())): \(part.reason)")
      }
      if !checkpoint.uninitialized.isEmpty {
        let names = Text.list(checkpoint.uninitialized)
        report.note("\(checkpoint.uninitialized.count) lazy parameters have no shape yet, and count as none: \(names)")
      }
      if let architecture = info.architecture {
        report.note(
          "a bare state dict, recognised as \(architecture) by names and shapes, which do not tell strides and dilations"
        )
      } else if case .stateDict = checkpoint.preferred {
        report.note("a bare state dict: layers are the paths of its names, and all its parameters count as trained")
      }
      if detailed { Results.print(try checkpoint.preferred.parameterTable().description) }
      if modules {
        Results.print(ModuleTable(info, depth: depth, order: sort, top: top).text(width: Terminal.width))
      }
      if tensors {
        Results.print(TensorRow.table(try TensorRow.rows(of: checkpoint.preferred, hasStatistics: statistics)))
      }
    }
  }

  /// Zeros are counted unasked where that takes no time that anybody would notice.
  private func sparsity(of checkpoint: Checkpoint) throws -> Sparsity? {
    let bytes = checkpoint.preferred.stateDict().tensors.values.reduce(0) { $0 + $1.byteCount }
    guard statistics || bytes <= 100_000_000 else { return nil }
    return try checkpoint.named { try checkpoint.preferred.sparsity() }
  }

  private func inputs(of checkpoint: Checkpoint, _ size: ImageSize) -> [[Int]] {
    guard sizes.shape.isEmpty else { return sizes.shape.map(\.lengths) }
    return [[1, checkpoint.preferred.module?.inputChannels ?? 3, size.height, size.width]]
  }

  /// The size of the file; nil for what is built, and for shards.
  private func bytes(of checkpoint: Checkpoint) throws -> Int? {
    guard let model = arguments.model, checkpoint.format != .sharded, try arguments.architecture() == nil else {
      return nil
    }
    return try ModelSource.bytes(model).count
  }

  /// A row for each of several models.
  private func compare() throws {
    if report.json {
      return try Series.forEach(models, of: self, report) { try Results.print(json: compared($0)) }
    }
    var rows: [ComparedModel] = []
    var hasFailed = false
    for name in models {
      do { rows.append(try compared(name)) } catch let error as ModelError {
        Terminal.error(error.inFile(name))
        hasFailed = true
      }
    }
    show(rows)
    guard !hasFailed else {
      Terminal.printNotes()
      throw ExitCode(1)
    }
  }

  private func compared(_ name: String) throws -> ComparedModel {
    let checkpoint = try ModelSource.open(name, reading: .preferred)
    let size = imageSize ?? checkpoint.pictureSize.map { ImageSize($0) } ?? ImageSize(height: 640, width: 640)
    let info =
      sizes.shape.isEmpty
      ? checkpoint.preferred.modelInfo(imageSize: (size.height, size.width))
      : checkpoint.preferred.modelInfo(inputShapes: sizes.shape.map(\.lengths))
    return ComparedModel(model: name, info: info, imageSize: size, format: checkpoint.format)
  }

  private func show(_ rows: [ComparedModel]) {
    guard !rows.isEmpty else { return }
    let width = max(5, rows.map { $0.model.printable().count }.max() ?? 0)
    let unit = convention == .macs ? "GMACs" : "GFLOPs"
    Results.print(
      Text.padded("model", to: width)
        + CFormat.string(" %7s %14s %14s %9s %9s", "layers", "parameters", "gradients", unit, "size"))
    for row in rows {
      let figure = row.info.gflops.map { CFormat.string("%.1f", $0[convention ?? .thop]) } ?? "-"
      Results.print(
        Text.padded(row.model.printable(), to: width)
          + CFormat.string(
            " %7s %14s %14s %9s %9s", FigureText.grouped(row.info.layers), FigureText.grouped(row.info.parameters),
            FigureText.grouped(row.info.gradients), figure, "\(row.imageSize)"))
    }
  }

  /// What may help a network that takes another size than the default.
  private func sizeAdvice(_ checkpoint: Checkpoint) -> String {
    guard imageSize == nil, sizes.shape.isEmpty, checkpoint.preferred.module != nil else { return "" }
    return "; if it takes pictures of another size, give --image-size, and --shape for other inputs"
  }
}

/// A height and a width, written `480x640`, or `640` for both.
struct ImageSize: ExpressibleByArgument, Encodable, CustomStringConvertible {
  let height: Int
  let width: Int

  init(height: Int, width: Int) { (self.height, self.width) = (height, width) }

  init?(argument: String) {
    let parts = argument.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard (1...2).contains(parts.count), let height = parts[0], let width = parts[parts.count - 1],
      (1...1_000_000).contains(height), (1...1_000_000).contains(width)
    else { return nil }
    self.init(height: height, width: width)
  }

  var description: String { height == width ? "\(height)" : "\(height)x\(width)" }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.unkeyedContainer()
    try container.encode(height)
    try container.encode(width)
  }
}

extension FlopsConvention: Choice {}

/// One of several models that are told of together.
private struct ComparedModel: Encodable {
  let model: String
  let info: ModelInfo
  let imageSize: ImageSize
  let format: Checkpoint.Format

  private enum Key: String, CodingKey { case imageSize, format }

  func encode(to encoder: any Encoder) throws {
    try info.encode(to: encoder)
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(imageSize, forKey: .imageSize)
    try container.encode(format, forKey: .format)
  }
}

private struct InfoResult: Encodable {
  let info: ModelInfo
  let imageSize: ImageSize
  let file: Checkpoint
  let overview: ModelOverview
  /// Of the file.
  let bytes: Int?
  let zeros: Sparsity?
  let tensors: [TensorRow]?

  private enum Key: String, CodingKey { case imageSize, uninitialized, bytes, zeros, totalMacs, tensors }

  func encode(to encoder: any Encoder) throws {
    try info.encode(to: encoder)
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(imageSize, forKey: .imageSize)
    try overview.encode(to: encoder)
    try container.encodeIfPresent(bytes, forKey: .bytes)
    try container.encodeIfPresent(zeros?.zeros, forKey: .zeros)
    try container.encodeIfPresent(info.gflops.map { $0.macs * 1e9 }, forKey: .totalMacs)
    try container.encodeIfPresent(tensors, forKey: .tensors)
    if !file.uninitialized.isEmpty { try container.encode(file.uninitialized, forKey: .uninitialized) }
  }
}
