import ModelCore

#if canImport(FoundationEssentials)
  import FoundationEssentials
#elseif canImport(Foundation)
  import Foundation
#endif

/// What a file of tensors alone would lose of a whole module, as text beside the tensors: the tree of its classes with
/// their attributes, which entries are parameters, which are trained, which are one, and tensors that no state dict
/// holds. With it the module can be made again; programs that do not know it pass over it.
///
/// JSON: for each module `class` (path and name), `training`, `parameters` (name to whether it is trained, or to the
/// earlier parameter that it is), `buffers`, `transient` (buffers that a state dict leaves out, with their values),
/// `attributes` and `children` (name to module, or to the path of the earlier module that it is). What is empty or false is left out.
///
/// Attributes are JSON's own values where there are such, a number with a point or an exponent being a float; all else is
/// an object of one name: `tuple`, `size`, `dict` and `ordered` (keys and values in turns), `set`, `frozenset`, `tensor`,
/// `method`, `function`, `float` (`inf`, `-inf`, `nan`), and `opaque` for what was not understood.
enum ModuleRecord {
  /// The entry of the metadata of a safetensors file, and the attribute of a pickled state dict, that holds the text.
  static let key = "mutils.module"

  /// The most bytes of text, far beyond any model's.
  static let sizeLimit = 16 << 20

  /// The deepest that modules may be nested: a reader of JSON takes 127 levels.
  static let depthLimit = 40
}

extension ModuleRecord {
  /// The text for a module; nil where it would be too long or too deep.
  /// - Throws: `ModelError` for tensors that cannot be read, and layers that the module's class cannot express.
  static func text(of module: Module, source: String) throws -> String? {
    var writer = Writer()
    writer.json.open()
    writer.json.name("version")
    writer.json.value(1)
    writer.json.name("source")
    writer.json.value(source)
    writer.json.name("module")
    guard try writer.write(module, path: "", depth: 0), writer.json.bytes.count < sizeLimit else { return nil }
    writer.json.close()
    return String(decoding: writer.json.bytes, as: UTF8.self)
  }

  private struct Writer {
    var json = JSONWriter()
    private var modules: [Identity: String] = [:]
    private var parameters: [Identity: String] = [:]

    /// - Returns: whether the module could be written.
    mutating func write(_ module: Module, path: String, depth: Int) throws -> Bool {
      guard depth < depthLimit, json.bytes.count < sizeLimit else { return false }
      modules[module.identity] = path
      json.open()
      json.name("class")
      json.openArray()
      json.element()
      json.value(module.className.module)
      json.element()
      json.value(module.className.name)
      json.closeArray()
      if module.isTraining {
        json.name("training")
        json.value(true)
      }
      write(module.parameters, path)
      try write(buffersOf: module)
      let attributes = try LayerAttributes.attributes(of: module, original: nil)
      if !attributes.isEmpty {
        json.name("attributes")
        json.open()
        for (name, value) in attributes {
          json.name(name)
          guard try write(value, depth: 2 * depth) else { return false }
        }
        json.close()
      }
      if !module.children.isEmpty {
        json.name("children")
        json.open()
        for (name, child) in module.children {
          json.name(name)
          if let earlier = modules[child.identity] {
            json.value(earlier)
          } else if try !write(child, path: dotted(path, name), depth: depth + 1) {
            return false
          }
        }
        json.close()
      }
      json.close()
      return true
    }

    private mutating func write(_ parameters: OrderedDictionary<String, Parameter>, _ path: String) {
      guard !parameters.isEmpty else { return }
      json.name("parameters")
      json.open()
      for (name, parameter) in parameters {
        json.name(name)
        if let earlier = self.parameters[parameter.identity] {
          json.value(earlier)
        } else {
          self.parameters[parameter.identity] = dotted(path, name)
          json.value(parameter.requiresGrad)
        }
      }
      json.close()
    }

    private mutating func write(buffersOf module: Module) throws {
      let kept = module.buffers.keys.filter { !module.nonPersistentBuffers.contains($0) }
      if !kept.isEmpty {
        json.name("buffers")
        json.openArray()
        for name in kept {
          json.element()
          json.value(name)
        }
        json.closeArray()
      }
      guard kept.count < module.buffers.count else { return }
      json.name("transient")
      json.open()
      for (name, buffer) in module.buffers where module.nonPersistentBuffers.contains(name) {
        json.name(name)
        try write(buffer)
      }
      json.close()
    }

    // MARK: Attributes

    private mutating func write(_ value: Attribute, depth: Int) throws -> Bool {
      guard depth < 110, json.bytes.count < sizeLimit else { return false }
      switch value {
      case .none: json.null()
      case .bool(let flag): json.value(flag)
      case .int(let number): json.value(number)
      case .double(let number) where number.isFinite: json.value(number)
      case .double(let number): tagged("float") { $0.value("\(number)") }
      case .string(let text): json.value(text)
      case .list(let items): return try write(items, depth)
      case .tuple(let items): return try tagged("tuple", items, depth)
      case .size(let lengths): tagged("size") { $0.value(lengths) }
      case .dict(let entries): return try tagged("dict", entries.flatMap { [$0.key, $0.value] }, depth)
      case .orderedDict(let entries): return try tagged("ordered", entries.flatMap { [$0.key, $0.value] }, depth)
      case .set(let items): return try tagged("set", items, depth)
      case .frozenSet(let items): return try tagged("frozenset", items, depth)
      case .tensor(let held):
        json.open()
        json.name("tensor")
        try write(held.tensor)
        if let requiresGrad = held.requiresGrad {
          json.name("parameter")
          json.value(requiresGrad)
        }
        json.close()
      case .boundMethod(let name): tagged("method") { $0.value(name) }
      case .unboundMethod(let owner, let name):
        tagged("function") { json in
          json.openArray()
          for part in [owner.module, owner.name, name] {
            json.element()
            json.value(part)
          }
          json.closeArray()
        }
      case .opaque(let text): tagged("opaque") { $0.value(text) }
      }
      return true
    }

    private mutating func tagged(_ name: String, _ body: (inout JSONWriter) -> Void) {
      json.open()
      json.name(name)
      body(&json)
      json.close()
    }

    private mutating func tagged(_ name: String, _ items: [Attribute], _ depth: Int) throws -> Bool {
      json.open()
      json.name(name)
      guard try write(items, depth + 1) else { return false }
      json.close()
      return true
    }

    private mutating func write(_ items: [Attribute], _ depth: Int) throws -> Bool {
      json.openArray()
      for item in items {
        json.element()
        guard try write(item, depth: depth + 1) else { return false }
      }
      json.closeArray()
      return true
    }

    /// Element type, shape and the little-endian bytes in base64.
    private mutating func write(_ tensor: Tensor) throws {
      guard tensor.byteCount < sizeLimit - json.bytes.count else {
        // Longer than the limit in base64: what is written no longer counts.
        json.value(String(repeating: " ", count: sizeLimit))
        return
      }
      var bytes = [UInt8](repeating: 0, count: tensor.byteCount)
      try bytes.withUnsafeMutableBytes { try tensor.copyBytes(to: $0) }
      json.openArray()
      json.element()
      json.value(tensor.dtype.rawValue)
      json.element()
      json.value(tensor.shape)
      json.element()
      json.value(Data(bytes).base64EncodedString())
      json.closeArray()
    }
  }
}
