import ModelCheckpoints
import ModelCore
import ModelInspection
import ModelONNX
import ModelReports
import ModelSurgery

/// All that a report tells of one model.
public struct ModelStudy: Sendable {
  /// What it is called in the report.
  public let name: String
  /// What is told of it besides: its format, its classes and so on.
  public var details: [ModelReport.Entry] = []
  /// Its counts; nil for an ONNX model.
  public let info: ModelInfo?
  /// Its counts where it is an ONNX model.
  public let onnx: ONNXInfo?
  /// The zeros of its parameters.
  public let sparsity: Sparsity
  /// What fusing it would do; nil where that is not known.
  public let fusion: FusionReport?
  /// Why that is not known.
  public let fusionReason: String?
  /// Its tensors by name, masks applied.
  public let state: StateDict
  let blocks: ModelBlocks
  /// How many axes each parameter has.
  let ranks: [String: Int]

  /// Looks at a checkpoint's preferred model. Values are read where zeros are counted, and once more when a report with
  /// their histograms is made.
  /// - Parameters:
  ///   - checkpoint: whose preferred model it is.
  ///   - name: what it is called in the report; the file's name when nil.
  ///   - imageSize: height and width of the picture for which shapes and multiplications are told.
  ///   - inputShapes: the same for what takes no picture.
  ///   - inputs: what the open sizes of an ONNX model are to be.
  /// - Throws: `ModelError` when a tensor cannot be read, and for an ONNX model that contradicts itself.
  public init(
    _ checkpoint: Checkpoint, name: String? = nil, imageSize: (height: Int, width: Int)? = nil,
    inputShapes: [[Int]] = [], inputs: ONNXInputs = ONNXInputs()
  ) throws {
    self.name = name ?? checkpoint.name
    var model = checkpoint.preferred
    if model.hasMasks { try model.applyMasks() }
    sparsity = try model.sparsity()
    state = model.stateDict()
    ranks = Dictionary(
      model.namedWeights().map { ($0.name, $0.tensor.shape.count) }, uniquingKeysWith: { first, _ in first })
    do { (fusion, fusionReason) = (try checkpoint.fusionPreview(), nil) } catch let error as ModelError {
      (fusion, fusionReason) = (nil, "\(error.subject ?? "the model") \(error.reason)")
    }
    if let file = checkpoint.onnx {
      info = nil
      onnx = try ONNXInfo(file, inputs)
      blocks = ModelBlocks(file, try file.trace(inputs))
      return
    }
    onnx = nil
    let size = imageSize ?? checkpoint.pictureSize ?? (640, 640)
    let info = inputShapes.isEmpty ? model.modelInfo(imageSize: size) : model.modelInfo(inputShapes: inputShapes)
    self.info = info
    if let module = model.module ?? checkpoint.preferred.stateDict().recognized()?.module {
      blocks = Self.blocks(of: module, info) {
        try inputShapes.isEmpty ? module.flops(ofPicture: size.height, size.width) : module.flops(of: inputShapes)
      }
    } else {
      var parts = ModelBlocks(model.stateDict())
      parts.note = "There is no graph: a bare state dict does not say in which order its layers run."
      blocks = parts
    }
  }

  private static func blocks(of module: Module, _ info: ModelInfo, count: () throws -> FlopsReport) -> ModelBlocks {
    do {
      var blocks = ModelBlocks(module, try count())
      let left = info.notCounted.map { "\($0.path) (\($0.className)): \($0.reason)" }
      if !left.isEmpty {
        let text = "Not in the graph: \(left.prefix(8).joined(separator: "; "))\(left.count > 8 ? "; …" : "")."
        blocks.note = [blocks.note, text].filter { !$0.isEmpty }.joined(separator: " ")
      }
      return blocks
    } catch {
      var blocks = ModelBlocks(module)
      blocks.note = "There is no graph: \(error)."
      return blocks
    }
  }

  /// The first line of `info`.
  public var summary: String { info?.description ?? onnx?.summary ?? "" }
  /// The elements of all parameters.
  public var parameters: Int { info?.parameters ?? onnx?.parameters ?? 0 }
  /// Multiplications of one pass; nil where they are not known.
  public var macs: Double? { (info?.gflops?.macs ?? onnx?.gflops?.macs).map { $0 * 1e9 } }
}
