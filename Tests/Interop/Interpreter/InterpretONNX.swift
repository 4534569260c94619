import ModelUtils
import SystemPackage

/// Runs ONNX models by the engine, many in one process: each folder holds `model.onnx` and `inputs.safetensors`, and is
/// given `outputs.safetensors`.
///
/// Inputs on which sizes depend are given by value where the model cannot be sized otherwise.
enum InterpretONNX {
  /// The folder, a tab, and `ok` or why not; behind `ok` the multiplications, how much is unsized, and every value's
  /// shape.
  static func line(_ folder: FilePath) -> String {
    do {
      return "\(folder)\t\(try run(folder))"
    } catch {
      return "\(folder)\terror: \(error)"
    }
  }

  private static func run(_ folder: FilePath) throws -> String {
    let model = try ONNXModel(contentsOf: folder.appending("model.onnx"))
    let tensors = try Checkpoint(contentsOf: folder.appending("inputs.safetensors")).preferred.stateDict().tensors
      .reduce(into: [String: Tensor]()) { $0[$1.key] = $1.value }
    var trace = try model.trace(for: tensors)
    var isByValue = ""
    // Numbers with fractions too, such as the limits of a Range.
    if !trace.unsized.isEmpty {
      var inputs = ONNXInputs()
      for (name, tensor) in tensors {
        if tensor.count <= 1024 { inputs.values[name] = tensor } else { inputs.shapes[name] = tensor.shape }
      }
      trace = try model.trace(inputs)
      isByValue = " by value"
    }
    var outputs = StateDict()
    for (name, tensor) in try trace.run(tensors) { outputs[name] = tensor }
    try SafeTensors.write(outputs, to: folder.appending("outputs.safetensors"))
    let types = trace.types.map { name, type in "\(name)=\(type.shape)" }.joined(separator: ";")
    return "ok\(isByValue)\t\(trace.macs)\t\(trace.unsized.count)\t\(types)"
  }
}
