import ArgumentParser
import ModelUtils
import SystemPackage

/// How `convert` writes a model as ONNX.
struct ExportArguments: ParsableArguments {
  @Option(help: ArgumentHelp("How many pictures the exported model takes at once. Default: 1.", valueName: "n"))
  var batchSize: Int?

  @Flag(help: "Let the exported model take other batches, and pictures of other sizes where it can.")
  var dynamic = false

  @Option(help: ArgumentHelp("ONNX's edition of operators, 12 to 22. Default: 17.", valueName: "n"))
  var opset: Int?

  @Flag(help: "Export the maps of a detector's levels in place of boxes.")
  var rawHead = false

  /// Whether any of them was given.
  var isGiven: Bool { batchSize != nil || dynamic || opset != nil || rawHead }

  func validate() throws {
    if let batchSize, !(1...4096).contains(batchSize) {
      throw ValidationError("--batch-size takes a number from 1 to 4096")
    }
    if let opset, !ONNXExportOptions.opsets.contains(opset) {
      throw ValidationError("--opset takes a number from 12 to 22")
    }
  }

  /// Whether a file is to be written as ONNX.
  static func writesONNX(_ path: FilePath) -> Bool { path.extension?.lowercased() == "onnx" }

  /// Exports a file's model.
  func export(
    _ checkpoint: Checkpoint, to path: FilePath, data: ONNXModel.DataPlace, size: ImageSize?, shape: [Int]?,
    dtype: DType?,
    _ report: ReportOptions
  ) throws -> ExportResult {
    let module = try checkpoint.computableModule(report.talk)
    var options = ExportOptions()
    options.imageSize = size.map { ($0.height, $0.width) }
    (options.batchSize, options.shape, options.isDynamic) = (batchSize ?? 1, shape, dynamic)
    (options.opset, options.dtype, options.givesRawHead) = (opset ?? 17, dtype ?? .float32, rawHead)
    let exported = try checkpoint.named {
      try module.exported(options, file: FilePath(checkpoint.name).lastComponent?.string)
    }
    if let reason = exported.fixedSizeReason { report.note("only the batch is dynamic: \(reason)") }
    try exported.model.write(to: path, data: data)
    let graph = exported.model.graph
    return ExportResult(
      nodes: graph.nodes.count, tensors: graph.initializers.count, opset: exported.model.opset,
      inputs: graph.inputs.map(\.name), outputs: graph.outputs.map(\.name), output: path.string)
  }
}

/// What `convert` tells of an exported model.
struct ExportResult: Encodable {
  let nodes: Int
  let tensors: Int
  let opset: Int
  let inputs: [String]
  let outputs: [String]
  let output: String

  func show(_ report: ReportOptions) throws {
    if report.json { return try Terminal.print(json: self) }
    Terminal.print("Saved \(output): \(nodes) nodes, \(tensors) tensors, opset \(opset)")
  }
}
