import ModelCore

extension SafeTensorsHeader {
  /// The tensors over their places in the file, in the order of those places.
  /// - Parameter dataStart: where the data begin in the file, in bytes.
  /// - Throws: `ModelError` when the tensors do not cover the data exactly and one after the other, or a size is not
  ///   that of its shape and dtype, or a name occurs twice.
  func tensors(in file: FileBytes, from dataStart: Int) throws -> StateDict {
    let available = file.count - dataStart
    var tensors = OrderedDictionary<String, Tensor>(minimumCapacity: entries.count)
    var position = 0
    for index in order() {
      let entry = entries[index]
      let end: Int
      do {
        end = try entry.end(startingAt: position, available: available)
      } catch let error {
        // A name that occurs twice is the better explanation of two tensors at one place.
        try refuseRepeatedNames(file)
        throw error.inFile(file.name).about(entry.name)
      }
      guard let storage = Storage(file, offset: dataStart + position, byteCount: end - position) else {
        throw ModelError(.malformed, "lies outside the file", file: file.name, subject: entry.name)
      }
      do {
        tensors[entry.name] = try Tensor(storage, dtype: entry.dtype, shape: entry.shape)
      } catch let error as ModelError {
        throw error.inFile(file.name).about(entry.name)
      }
      position = end
    }
    if tensors.count != entries.count { try refuseRepeatedNames(file) }
    guard position == available else {
      throw ModelError(
        .malformed,
        "the tensors take \(position) bytes, but \(available) follow the header", file: file.name,
        offset: dataStart + position, advice: "the file is damaged or something was appended to it")
    }
    return StateDict(tensors, metadata: metadata)
  }

  /// The entries' indices by place in the file; the header's order where two have the same.
  private func order() -> [Int] {
    func precedes(_ first: Entry, _ second: Entry) -> Bool {
      (first.start, first.end) < (second.start, second.end)
    }
    var isSorted = true
    for index in entries.indices.dropFirst() where precedes(entries[index], entries[index - 1]) { isSorted = false }
    if isSorted { return Array(entries.indices) }
    return entries.indices.sorted { first, second in
      if precedes(entries[first], entries[second]) { return true }
      return !precedes(entries[second], entries[first]) && first < second
    }
  }

  private func refuseRepeatedNames(_ file: FileBytes) throws {
    var names = Set<String>(minimumCapacity: entries.count)
    for entry in entries {
      let (isNew, earlier) = names.insert(entry.name)
      if !isNew {
        throw ModelError(
          .malformed,
          "the name \(repeated(earlier, entry.name))", file: file.name, subject: entry.name,
          advice: "which of the tensors is meant cannot be known")
      }
    }
  }
}

extension SafeTensorsHeader.Entry {
  /// Where the tensor's data end, after all checks.
  fileprivate func end(startingAt position: Int, available: Int) throws(ModelError) -> Int {
    guard start == position else {
      throw ModelError(.malformed, "its data start at \(start), but the tensors before it end at \(position)")
    }
    guard let end = Int(exactly: end), end >= position else {
      throw ModelError(.malformed, "its data end at \(self.end), before they start at \(start)")
    }
    let (bits, overflow) = (count ?? 0).multipliedReportingOverflow(by: UInt64(dtype.bitWidth))
    guard count != nil, !overflow else {
      throw ModelError(.malformed, "shape \(shape) of \(dtype.rawValue) overflows")
    }
    guard bits % 8 == 0 else {
      throw ModelError(.malformed, "shape \(shape) of \(dtype.rawValue) does not fill whole bytes")
    }
    guard bits / 8 == end - position else {
      throw ModelError(
        .malformed,
        "shape \(shape) of \(dtype.rawValue) takes \(bits / 8) bytes, but the header gives it \(end - position)")
    }
    guard end <= available else {
      throw ModelError(
        .malformed,
        "its data end at \(end), but only \(available) bytes follow the header",
        advice: "the file is cut off or still downloading")
    }
    return end
  }
}
