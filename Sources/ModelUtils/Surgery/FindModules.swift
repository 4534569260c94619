import ModelArchitectures
import ModelCheckpoints
import ModelCore

/// A module and its place in the tree.
public struct FoundModule: Sendable, Codable, Hashable {
  /// The place in `named_modules()`'s order, the root being 0.
  public let index: Int
  /// The dotted path; empty for the root.
  public let name: String
  /// The class's name.
  public let type: String
}

extension Module {
  /// The modules of a type, YOLOv5's `find_modules`, in `named_modules()`'s order; one that stands in several places is
  /// found once.
  ///
  /// Where the original counts within a `module_list`, the index here counts all modules.
  /// - Parameters:
  ///   - type: a class's name (`Conv2d`) or its full path, or a pattern with `*` and `?`; classes derived from it are
  ///     found as well, as far as PyTorch's, torchvision's, timm's and YOLO's classes are known; a convolution is known
  ///     by its attributes, whatever its class. Nil for all.
  ///   - name: a pattern that the dotted path must match. Nil for all.
  public func findModules(type: Glob? = nil, name: Glob? = nil) -> [FoundModule] {
    var found: [FoundModule] = []
    var index = 0
    var matches: [Kind: Bool] = [:]
    forEachModule { path, module in
      defer { index += 1 }
      if let name, !name.matches(path) { return }
      if let type {
        let kind = Kind(module)
        let isMatch =
          matches[kind] ?? (type.matches(module.className.description) || kind.names.contains { type.matches($0) })
        matches[kind] = isMatch
        guard isMatch else { return }
      }
      found.append(FoundModule(index: index, name: path, type: module.className.name))
    }
    return found
  }
}

extension ONNXModel {
  /// The nodes of an operator, in the file's order, those of branches and bodies after the node that they are in.
  /// - Parameters:
  ///   - type: the operator (`Conv`, `com.microsoft.Gelu`), or a pattern with `*` and `?`. Nil for all.
  ///   - name: a pattern that the node's name must match, or what it makes where it has none. Nil for all.
  public func findNodes(type: Glob? = nil, name: Glob? = nil) -> [FoundModule] {
    graph.allNodes.enumerated().compactMap { index, node in
      guard type?.matches(node.qualifiedOperation) ?? true, name?.matches(node.label) ?? true else { return nil }
      return FoundModule(index: index, name: node.label, type: node.qualifiedOperation)
    }
  }
}

/// What tells which classes a module is an instance of.
private struct Kind: Hashable {
  let className: ClassName
  /// PyTorch's own convolution of its rank; nil for all else.
  let convolution: ClassName?

  init(_ module: Module) {
    className = module.className
    guard case .convolution(let layer) = module.layer else {
      convolution = nil
      return
    }
    convolution = ClassName("torch.nn.modules.conv", "Conv\(layer.isTransposed ? "Transpose" : "")\(layer.rank)d")
  }

  var names: [String] {
    ClassHierarchy.names(of: className) + (convolution.map { ClassHierarchy.names(of: $0) } ?? [])
  }
}
