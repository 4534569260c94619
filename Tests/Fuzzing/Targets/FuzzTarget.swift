import ModelCore
import SystemPackage

/// What a fuzzer's bytes are taken for.
///
/// Every target refuses by a `ModelError` what it cannot take; anything else that is thrown, a trap, a hang and a
/// contradiction is a fault of the library.
public enum FuzzTarget: String, CaseIterable, Sendable {
  /// The pickle of a checkpoint whose other members are sound.
  case pickle
  /// A model's file, whatever its format.
  case checkpoint
  /// The header of a safetensors file whose data is sound.
  case safetensors
  /// The index of two sound shards.
  case index
  /// An ONNX model.
  case onnx
  /// A description of a network, a data set, or a recipe.
  case yaml
  /// A PNG or JPEG picture.
  case pictures
  /// An array of NumPy, an archive of them, an IDX file, a table.
  case arrays
  /// The labels of a picture, and COCO's instances.
  case labels
  /// Decisions of which a graph is made.
  case graph

  /// Takes bytes for this.
  /// - Parameter folder: an empty one, for what stands in files; what is left there may be overwritten.
  /// - Returns: why they were refused; nil where they were not.
  @discardableResult public func refusal(of bytes: [UInt8], in folder: FilePath) -> String? {
    // Threads would take longer to start than what they are for.
    Parallel.$threadCount.withValue(1) { take(bytes, folder) }
  }

  private func take(_ bytes: [UInt8], _ folder: FilePath) -> String? {
    do {
      switch self {
      case .pickle: try ModelTargets.pickle(bytes, folder)
      case .checkpoint: try ModelTargets.checkpoint(bytes, folder)
      case .safetensors: try ModelTargets.safetensors(bytes, folder)
      case .index: try ModelTargets.index(bytes, folder)
      case .onnx: try ModelTargets.onnx(bytes, folder)
      case .yaml: try DataTargets.yaml(bytes, folder)
      case .pictures: try DataTargets.picture(bytes)
      case .arrays: try DataTargets.arrays(bytes, folder)
      case .labels: try DataTargets.labels(bytes, folder)
      case .graph: try GraphTarget.run(bytes)
      }
      return nil
    } catch let error as ModelError {
      let line = error.description
      require(!line.isEmpty && !line.contains("\n"), "an error is one line: \(line)")
      return line
    } catch {
      fatalError("\(self) threw what is no ModelError: \(error)")
    }
  }
}

/// Ends the process, as fuzzers want it, where something does not hold.
func require(_ holds: Bool, _ what: @autoclosure () -> String) {
  if !holds { fatalError("does not hold: \(what())") }
}
