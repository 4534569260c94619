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

  @OptionGroup var arguments: ModelArguments
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

  func validate() throws {
    guard sizes.shape.isEmpty || !extrapolate else {
      throw ValidationError("--extrapolate needs pictures; leave --shape out.")
    }
    guard !extrapolate || convention ?? .thop == .thop else {
      throw ValidationError("--extrapolate is a way of measuring thop's FLOPs; leave --convention out.")
    }
  }

  func run() throws {
    try report.withThreads {
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
      let checkpoint = try arguments.open(report)
      let size = imageSize ?? checkpoint.pictureSize.map { ImageSize($0) } ?? ImageSize(height: 640, width: 640)
      let info =
        sizes.shape.isEmpty
        ? checkpoint.preferred.modelInfo(
          imageSize: (size.height, size.width),
          extrapolatingFrom: extrapolate ? try checkpoint.stride() : nil)
        : checkpoint.preferred.modelInfo(inputShapes: sizes.shape.map(\.lengths))
      if report.json {
        try Terminal.print(json: InfoResult(info: info, imageSize: size, file: checkpoint))
        return
      }
      Terminal.print(info.summary(convention ?? .thop))
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
      if detailed { Terminal.print(try checkpoint.preferred.parameterTable().description) }
      if modules { Terminal.print(info.moduleTable) }
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

extension FlopsConvention: ExpressibleByArgument {}

private struct InfoResult: Encodable {
  let info: ModelInfo
  let imageSize: ImageSize
  let file: Checkpoint

  private enum Key: String, CodingKey { case imageSize, format, key, keys, uninitialized }

  func encode(to encoder: any Encoder) throws {
    try info.encode(to: encoder)
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(imageSize, forKey: .imageSize)
    try container.encode(file.format, forKey: .format)
    try container.encode(file.preferredKey, forKey: .key)
    try container.encode(Array(file.models.keys), forKey: .keys)
    if !file.uninitialized.isEmpty { try container.encode(file.uninitialized, forKey: .uninitialized) }
  }
}
