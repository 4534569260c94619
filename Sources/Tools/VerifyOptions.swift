import ArgumentParser
import ModelUtils

/// Proves by running both that a result still computes what the original does.
struct VerifyOptions: ParsableArguments {
  @Flag(
    help: ArgumentHelp(
      "Run the original and the result on the same input and compare what they give.",
      discussion: "Beyond the tolerance nothing is saved and the exit status is 1."))
  var verify = false

  @Option(
    help: ArgumentHelp(
      "The largest difference for --verify, in units of each output's largest value. Default: 1e-4; 2e-2 where the result has narrower numbers. Pruning moves outputs further.",
      valueName: "t"))
  var tolerance: Double?

  @OptionGroup(title: "Input of --verify") var input: InputOptions

  func validate() throws {
    if let tolerance, !(tolerance >= 0) { throw ValidationError("--tolerance takes a number from 0") }
  }

  /// Refuses what has no meaning without `--verify`.
  func requireVerify() throws {
    guard verify || (tolerance == nil && !input.isGiven) else {
      throw ValidationError("--tolerance, --input, --image-size, --shape and --value go with --verify")
    }
  }

  /// Compares the preferred models of a file before and after; nil unless it is asked for.
  func compare(_ original: Checkpoint, with result: Checkpoint, _ report: TalkOptions) throws -> OutputComparison? {
    guard verify else { return nil }
    if let before = original.onnx, let after = result.onnx == nil ? nil : try result.updatedONNX() {
      return try original.named {
        try before.compareOutputs(
          with: after, inputs: input.tensors(for: before), tolerance: tolerance ?? 1e-4)
      }
    }
    let before = try original.computableModule(report)
    let after = try result.preferred.module ?? before.holding(result.preferred.stateDict(), of: result)
    let narrows = result.preferred.stateDict().tensors.contains { name, tensor in
      tensor.dtype.isFloatingPoint && tensor.dtype != .float32 && tensor.dtype != .float64
        && original.preferred.stateDict().tensors[name]?.dtype != tensor.dtype
    }
    return try original.named {
      try input.advising(on: before) {
        try before.compareOutputs(
          with: after, inputs: input.tensors(for: before), tolerance: tolerance ?? (narrows ? 2e-2 : 1e-4))
      }
    }
  }
}

extension OutputComparison {
  /// Tells the result, and ends the command where it does not hold, which then saves nothing.
  func judge(_ report: ReportOptions) throws {
    if holds { return }
    if report.json {
      try Results.print(json: VerifiedResult(verified: self))
    } else {
      Results.print("Not verified, nothing is saved: \(self)")
    }
    Terminal.printNotes()
    throw ExitCode(1)
  }
}

private struct VerifiedResult: Encodable {
  let verified: OutputComparison
}

extension Module {
  /// This model, which a state dict was recognised as, with the tensors of what became of that state dict: its own
  /// names, or those of the fused model.
  fileprivate func holding(_ state: StateDict, of checkpoint: Checkpoint) throws -> Module {
    for fuses in [false, true] {
      var module = self
      if fuses { _ = try module.fuse() }
      let names = module.stateDict()
      guard state.tensors.allSatisfy({ names.tensors[$0.key]?.shape == $0.value.shape }) else { continue }
      module.setTensors { state.tensors[$0] }
      return module
    }
    throw ModelError(
      .unsupported, "has other tensors than the architecture that it was recognised as, so it cannot be run",
      file: checkpoint.name, advice: "leave out --verify")
  }
}
