import ArgumentParser
import ModelUtils
import SystemPackage

/// How `convert` writes what came from an ONNX model.
struct ONNXRewriting: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Put the tensors into this ONNX model, by their names, and write it.", valueName: "model"),
    completion: .file())
  var into: String?

  @Flag(help: "Write the weights into a file beside the model: OUTPUT.data, or OUTPUT-2.data where that is taken.")
  var externalData = false

  @Flag(help: "Write the weights into the model's file.")
  var inline = false

  var isGiven: Bool { into != nil || externalData || inline }

  func validate() throws {
    if externalData && inline { throw ValidationError("--external-data and --inline contradict") }
  }

  var dataPlace: ONNXModel.DataPlace { externalData ? .beside : inline ? .inside : .asRead }

  /// The ONNX model that a file is, or into which its tensors go; nil where there is none, and one is to be exported.
  /// - Throws: `ModelError` for tensors that the model does not have.
  func model(_ input: Checkpoint, _ report: ReportOptions) throws -> ONNXModel? {
    guard let into else { return input.onnx == nil ? nil : try input.updatedONNX() }
    var target = try Checkpoint(contentsOf: FilePath(into))
    guard target.onnx != nil else { throw ModelError(.invalid, "is no ONNX model", file: into) }
    var state = target.preferred.stateDict()
    let new = input.preferred.stateDict()
    for (name, tensor) in new {
      guard state[name] != nil else {
        throw ModelError(
          .mismatch, "has no such constant", file: into, subject: name,
          advice: "give tensors under the names that mutils convert \(into) -o x.safetensors writes")
      }
      state[name] = tensor
    }
    let left = state.names.filter { new[$0] == nil }
    if !left.isEmpty { report.note("\(left.count) constants stay as they are in \(into): \(Text.list(Array(left)))") }
    target.preferred = .stateDict(state)
    return try target.updatedONNX()
  }

  func write(
    _ model: ONNXModel, to destination: Destination, _ writing: WritingOptions, _ report: ReportOptions
  ) throws {
    let bytes = try writing.write(model, to: destination, dataPlace, report)
    let tensors = model.constants.count
    if report.json {
      try Results.print(json: ONNXRewritingResult(tensors: tensors, bytes: bytes, output: destination.name))
    } else {
      Results.print("\(writing.told(destination.name)): \(FigureText.count(tensors, "tensor")), \(Text.bytes(bytes))")
    }
  }
}

private struct ONNXRewritingResult: Encodable {
  let tensors: Int
  let bytes: Int
  let output: String
}
