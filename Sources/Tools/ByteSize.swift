import ArgumentParser

/// A number of bytes, written `2GB`, `500MB`, `1GiB` or plainly.
struct ByteSize: ExpressibleByArgument {
  let bytes: Int

  init?(argument: String) {
    let units = [
      "": 1, "B": 1, "KB": 1000, "MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000,
      "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40,
    ]
    let number = argument.prefix { $0.isNumber || $0 == "." }
    guard let value = Double(number), let unit = units[argument.dropFirst(number.count).uppercased()],
      value * Double(unit) >= 1, value * Double(unit) < 0x1p62
    else { return nil }
    bytes = Int(value * Double(unit))
  }
}
